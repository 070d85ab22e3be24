"""Hand on the `.keras` file of another backend with one number of one weight changed."""

from common.phase import Phase
from families.canary import distribute_change_weight

if __name__ == "__main__":
    distribute_change_weight.main(Phase.from_environment(), file="mnistsavedmodel.keras")

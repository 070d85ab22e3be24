"""What every scenario needs: the contract, data, evidence."""

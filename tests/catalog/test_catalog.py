from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from harness.base.error import UsageError
from harness.catalog import catalog
from harness.catalog.flavors import Image
from harness.catalog.scenarios import Phase
from tests.base.test_plain_file import KINDS, other_than_a_file
from tests.paths import ROOT
from tests.projects import FAMILY, FLAVOR, lay_out


def test_project_s_own_catalog_has_the_promised_cases():
    own = catalog.load(ROOT)
    flavors = {flavor.id: flavor for flavor in own.flavors}
    assert set(flavors) >= {
        *("tf1-tfkeras", "tf1-keras22", "tf1-keras23", "tf2-tfkeras", "tf2-legacy"),
    }
    families = {entry.family for entry in own.scenarios}
    assert families >= {
        *("keras_saveload", "resnet50_generator", "tf_serialization", "dnndk_freeze"),
        *("distribute", "metagraph", "canary"),
    }
    saveload = [entry for entry in own.scenarios if entry.family == "keras_saveload"]
    applicable = [
        (flavor, scenario.id)
        for flavor in ("tf1-tfkeras", "tf1-keras22", "tf1-keras23")
        for scenario in saveload
        if catalog.inapplicable(flavors[flavor], scenario) is None
    ]
    assert len(applicable) == 23
    canaries = {entry.id for entry in own.scenarios if entry.family == "canary"}
    assert canaries >= {
        "weights_before_lms",
        "lms_silently_off",
        "stale_artifact",
        "truncated_file",
        "corrupted_swap_in",
    }
    assert all(entry.expects for entry in own.scenarios if entry.family == "canary")


def test_every_skip_of_the_project_is_explained():
    own = catalog.load(ROOT)
    for flavor in own.flavors:
        for scenario in own.scenarios:
            reason = catalog.inapplicable(flavor, scenario)
            # Without a reason in the flavor's [lacks] it would be this one.
            assert reason is None or not reason.startswith("the flavor has no"), (
                f"{flavor.id} does not say why {scenario.family}/{scenario.id} does not apply"
            )


def test_select_takes_patterns(tmp_path):
    own = catalog.load(lay_out(tmp_path))
    assert [entry.id for entry in own.select(scenarios=["*-load"]).scenarios] == ["save-load"]
    assert own.select() == own
    with pytest.raises(UsageError, match=r"no scenario matches 'nope'; there are: save-load"):
        own.select(scenarios=["nope"])


def test_representatives_are_one_flavor_of_each_way_to_run_a_model():
    own = catalog.load(ROOT)
    chosen = own.representatives()
    assert [flavor.id for flavor in chosen.flavors] == [
        *("keras3-jax", "keras3-torch", "tf1-tfkeras", "tf2-legacy"),
    ]
    assert (chosen.scenarios, chosen.environments) == (own.scenarios, own.environments)


def test_a_representative_has_the_most_cases_then_the_fewest_variables_then_is_the_first(tmp_path):
    torch = '\n[variables]\nKERAS_BACKEND = "torch"\n'
    richer = FLAVOR.replace('["tf_', '["magic", "tf_')
    poorer = FLAVOR + '\n[lacks]\nmagic = "no such thing here"\n'
    head, second = FAMILY.split('id = "save-predict"')
    root = lay_out(
        tmp_path,
        flavors={
            "a-poor": poorer,
            "b-variable": richer + '\n[variables]\nPLAIN = "0"\n',
            "c-chosen": richer,
            "d-equal": richer,
            "e-eager": FLAVOR.replace('"session"', '"eager"'),
            "f-torch": FLAVOR.replace('"session"', '"eager"') + torch,
        },
        families={"basic": f'{head}id = "save-predict"\nrequires = ["magic"]{second}'},
    )
    chosen = catalog.load(root).representatives()
    assert [flavor.id for flavor in chosen.flavors] == ["c-chosen", "e-eager", "f-torch"]


def test_inapplicable_gives_the_flavor_s_reason(tmp_path):
    lacking = FLAVOR.replace('features = ["tf_checkpoint"]', "features = []") + (
        '\n[lacks]\ntf_checkpoint = "no such thing here"\n'
    )
    needing = FAMILY.replace('restores = ["weights"]', 'requires = ["tf_checkpoint"]', 1)
    own = catalog.load(lay_out(tmp_path, flavors={"old": lacking}, families={"basic": needing}))
    assert catalog.inapplicable(own.flavors[0], own.scenarios[0]) == "no such thing here"
    assert catalog.inapplicable(own.flavors[0], own.scenarios[1]) is None


def test_last_phase_is_judged_unless_said_otherwise(tmp_path):
    scenario = catalog.load(lay_out(tmp_path)).scenarios[0]
    assert [scenario.judged(phase) for phase in scenario.phase] == [False, True]


@pytest.mark.parametrize(
    ("old", "changed", "message"),
    [
        ('id = "save-load"', 'id = "save.load"', "save.load: id: String should match"),
        ('role = "train"', 'role = "dance"', "phase.0.role"),
        ('script = "load.py"', 'script = "../../etc/passwd"', "phase.1.script"),
        ('script = "load.py"', 'script = "missing.py"', "script families/basic/missing.py is not"),
        (
            'id = "load"',
            'id = "load"\nclient = "no.py"',
            "script families/basic/no.py is not there",
        ),
        (
            'id = "load"',
            'id = "load"\nreference = { script = "no.py" }',
            "script families/basic/no.py is not there",
        ),
        (
            'id = "load"',
            'id = "load"\nreference = "later"',
            "reference 'later' of load is no earlier phase",
        ),
        (
            'id = "load"',
            'id = "load"\nreference = "load"',
            "reference 'load' of load is no earlier phase",
        ),
        (
            'id = "load"',
            'id = "load"\nflavor = "tf9"',
            "phase load is to run in 'tf9', which is no",
        ),
        ("[[scenario]]", "owner = 1\n[[scenario]]", "unknown key 'owner'"),
        ('id = "load"', 'id = "save"', "phase ids are not unique"),
        ('id = "save-predict"', 'id = "save-load"', "'save-load' is there twice"),
        ("restores", "restroes", "restroes: Extra inputs are not permitted"),
        ('restores = ["weights"]', 'requires = ["magic"]', "requires 'magic', which no flavor"),
        ("[[scenario]]", "[[scenario]", "not TOML"),
        ('id = "load"', 'id = "load"\ntimeout_s = inf', "phase.1.timeout_s: Input should be"),
        ('id = "load"', 'id = "load"\ntimeout_s = nan', "phase.1.timeout_s: Input should be"),
        ('id = "load"', 'id = "load"\ntimeout_s = -1', "phase.1.timeout_s: Input should be"),
        ('id = "load"', 'id = "load"\ntimeout_s = 0', "phase.1.timeout_s: Input should be"),
        ('id = "load"', 'id = "load"\ntimeout_s = 1e300', "phase.1.timeout_s: Input should be"),
        ('id = "load"', 'id = "load"\ntimeout_s = true', "phase.1.timeout_s: Input should be"),
        ("[[scenario]]", "activations_mib = 1e300\n[[scenario]]", "activations_mib: Input"),
        ("[[scenario]]", "activations_mib = nan\n[[scenario]]", "activations_mib: Input"),
        (
            'id = "load"',
            'id = "load"\nvariables = { A = "a\\u0000b" }',
            "phase.1.variables.A: Value error, holds a NUL character",
        ),
        (
            'id = "load"',
            f'id = "load"\nvariables = {{ A = "{"a" * 40_000}" }}',
            "phase.1.variables.A: String should have at most",
        ),
    ],
)
def test_bad_family_is_one_clear_line(tmp_path, old, changed, message):
    text = FAMILY.replace(old, changed) if "]" not in old else FAMILY.replace(old, changed, 1)
    with pytest.raises(UsageError) as caught:
        catalog.load(lay_out(tmp_path, families={"basic": text}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


_OWN = """
LMS_PROVIDER LMS_PARAMS LMS_PATH LMS_FAULT LMS_REFERENCE LMS_MEASURE ACCELERATOR KERAS
EXECUTION_MODE DATA_DIR INPUT_DIR OUTPUT_DIR BATCH_SCALE COMPILATION_CACHE MEMORY_CEILING SERVER_URL
SERVER_HOST SERVER_PORT OMP_NUM_THREADS TF_NUM_INTRAOP_THREADS PYTHONPATH
HOME PATH TMPDIR LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT GCONV_PATH GLIBC_TUNABLES
DYLD_INSERT_LIBRARIES PYTHONHOME PYTHONSTARTUP PYTHONHASHSEED BASH_ENV ENV
NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES NVIDIA_REQUIRE_CUDA
CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER CUDA_INJECTION64_PATH
"""
_FREE = ["REPLICAS", "LMS_EDIT_IN_PLACE", "VARIANT_MODEL", "EPOCHS", "TF_CPP_MIN_LOG_LEVEL"]
_FREE += [
    "COMPILE_FOR_GPU",
    "NVIDIA_TF32_OVERRIDE",
    "XLA_FLAGS",
    "CUDA_LAUNCH_BLOCKING",
    "PYTHONWARNINGS",
    "HOMEPAGE",
]
_PLACES = [
    ('id = "load"', 'id = "load"\nvariables = {{ {0} = "x" }}'),
    (
        'id = "load"',
        'id = "load"\nreference = {{ script = "load.py", variables = {{ {0} = "x" }} }}',
    ),
    (
        '[[scenario.phase]]\nid = "save"',
        'straight = {{ script = "load.py", variables = {{ {0} = "x" }} }}\n'
        '[[scenario.phase]]\nid = "save"',
    ),
]


@pytest.mark.parametrize("place", _PLACES, ids=["phase", "reference", "straight"])
@pytest.mark.parametrize("name", [*_OWN.split(), "KERAS_BACKEND"])
def test_what_the_harness_tells_a_phase_is_no_scenario_s_to_set(tmp_path, place, name):
    old, changed = place
    assert old in FAMILY
    text = FAMILY.replace(old, changed.format(name), 1)
    with pytest.raises(UsageError, match=f"save-load: .*{name}") as caught:
        catalog.load(lay_out(tmp_path, families={"basic": text}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", _OWN.split())
def test_what_the_harness_tells_a_phase_is_no_flavor_s_to_set(tmp_path, name):
    text = f'{FLAVOR}\n[variables]\n{name} = "x"\n'
    with pytest.raises(UsageError, match=f"{name} is set by the harness alone"):
        catalog.load(lay_out(tmp_path, flavors={"test-flavor": text}))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('expects = "phases_complete"', "a canary names the phase that it has to be caught in"),
        ('caught_in = "load"', "the scenario expects no check to fail"),
        ('expects = "phases_complete"\ncaught_in = "lood"', "caught_in 'lood' is no phase"),
        ('expects = "state_restored"\ncaught_in = "save"', "'state restored' is about the last"),
        ('expects = "resume_equal"\ncaught_in = "save"', "is about the last phase"),
        ('expects = "swapping_confirmed"\ncaught_in = "save"', "does not look at it"),
        ('expects = "phases_complete"\ncaught_in = "save"', ""),
        ('expects = "swapping_confirmed"\ncaught_in = "load"', ""),
    ],
)
def test_a_canary_names_a_phase_that_its_check_looks_at(tmp_path, lines, message):
    text = FAMILY.replace('restores = ["weights"]', lines, 1)
    root = lay_out(tmp_path, families={"basic": text})
    if not message:
        assert catalog.load(root).scenarios[0].caught_in in lines
        return
    with pytest.raises(UsageError, match=message) as caught:
        catalog.load(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["PATH", "HTTP_PROXY", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", ""])
def test_of_the_host_a_flavor_gets_what_is_on_the_list(tmp_path, name):
    text = f'host_variables = ["CUDA_HOME", "{name}"]\n{FLAVOR}'
    with pytest.raises(UsageError, match=r"host_variables\.1: Input should be 'CUDA_HO") as caught:
        catalog.load(lay_out(tmp_path, flavors={"test-flavor": text}))
    assert "\n" not in str(caught.value)


def test_of_the_host_a_flavor_gets_what_is_set_there(tmp_path):
    text = f'host_variables = ["CUDA_HOME", "CUDA_PATH", "XLA_FLAGS"]\n{FLAVOR}'
    (flavor,) = catalog.load(lay_out(tmp_path, flavors={"test-flavor": text})).flavors
    host = {"CUDA_HOME": "/opt/cuda", "XLA_FLAGS": "", "CUDA_ROOT": "/other", "HOME": "/root"}
    assert flavor.inherited(host) == {"CUDA_HOME": "/opt/cuda"}


def test_a_variable_is_a_flavor_s_own_or_the_host_s(tmp_path):
    text = f'host_variables = ["XLA_FLAGS"]\n{FLAVOR}\n[variables]\nXLA_FLAGS = "--a=1"\n'
    with pytest.raises(UsageError, match="XLA_FLAGS is set by variables") as caught:
        catalog.load(lay_out(tmp_path, flavors={"test-flavor": text}))
    assert "\n" not in str(caught.value)


def test_every_flavor_that_computes_with_xla_is_told_where_cuda_is():
    for flavor in catalog.load(ROOT).flavors:
        wanted = {"CUDA_HOME", "CUDA_PATH"}
        if flavor.backend != "torch":
            wanted |= {"XLA_FLAGS"}
        assert wanted <= set(flavor.host_variables), flavor.id


@pytest.mark.parametrize("name", _FREE)
def test_other_variables_are_a_scenario_s_own(tmp_path, name):
    text = FAMILY.replace('id = "load"', f'id = "load"\nvariables = {{ {name} = "x" }}', 1)
    found = catalog.load(lay_out(tmp_path, families={"basic": text}))
    assert found.scenarios[0].phase[1].variables == {name: "x"}


def test_every_variable_of_the_contract_is_refused_or_named_as_free(tmp_path):
    page = (ROOT / "docs" / "contract.md").read_text().split("## What the script starts with")[1]
    table = page.split("\n\n")[1]
    cells = " ".join(line.split(" | ")[0] for line in table.splitlines())
    free = {"REPLICAS", "COMPILE_FOR_GPU", "LMS_EDIT_IN_PLACE"}
    names = set(re.findall(r"`([A-Z_]+)`", cells)) - free
    assert len(names) > 15
    for name in names:
        with pytest.raises(ValidationError):
            Phase(id="p", script="p.py", role="train", variables={name: "x"})


def script_of(root):
    return root / "scenarios" / "families" / "basic" / "load.py"


@pytest.mark.parametrize("kind", ["directory", "FIFO", "device"])
def test_a_script_that_is_no_file_is_one_clear_line(tmp_path, kind):
    root = lay_out(tmp_path)
    script_of(root).unlink()
    other_than_a_file(script_of(root), kind)
    with pytest.raises(UsageError, match=rf"save-load: script .*load\.py is a {kind}, and no file"):
        catalog.load(root)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../outside.py"])
def test_a_script_that_no_container_sees_is_one_clear_line(tmp_path, target):
    root = lay_out(tmp_path / "checkout")
    (root / "outside.py").write_text("")
    script_of(root).unlink()
    script_of(root).symlink_to(target)
    with pytest.raises(UsageError, match=r"load\.py is a link that leads out of scenarios/"):
        catalog.load(root)


def test_a_script_may_be_a_link_within_the_scenarios(tmp_path):
    (tmp_path / "checkout").mkdir()
    (tmp_path / "link").symlink_to("checkout")
    root = lay_out(tmp_path / "link")
    script_of(root).unlink()
    script_of(root).symlink_to("save.py")
    assert catalog.load(root)
    script_of(root).unlink()
    script_of(root).symlink_to("load.py")  # to itself
    with pytest.raises(UsageError, match=r"load\.py cannot be read: Too many levels"):
        catalog.load(root)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        "docker/flavors/test-flavor/flavor.toml",
        "scenarios/families/basic/scenarios.toml",
        "scenarios/known-defects.toml",
        "docker/bases.toml",
        "docker/bases.lock.toml",
    ],
)
def test_what_is_in_the_place_of_a_file_is_one_clear_line(tmp_path, name, kind):
    root = lay_out(tmp_path)
    (root / name).unlink(missing_ok=True)
    other_than_a_file(root / name, kind)
    with pytest.raises(UsageError) as caught:
        catalog.load(root)
    assert str(root / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("capability", ["7.x", "-1.0", "1" * 5000 + ".0"])
def test_a_capability_that_is_none_is_one_clear_line(tmp_path, capability):
    text = f'{FLAVOR}\nmin_compute_capability = "{capability}"'
    with pytest.raises(UsageError, match="min_compute_capability: String should match"):
        catalog.load(lay_out(tmp_path, flavors={"test-flavor": text}))


def test_a_scenario_of_two_families_is_one_clear_line(tmp_path):
    root = lay_out(tmp_path, families={"basic": FAMILY, "other": FAMILY})
    with pytest.raises(UsageError, match="'save-load' is in basic and in other; one scenario"):
        catalog.load(root)


def test_bad_flavor_is_one_clear_line(tmp_path):
    text = FLAVOR.replace('python = "3.11"', "python = 3.11")
    with pytest.raises(UsageError, match=r"flavor\.toml: test-flavor: python: Input should be"):
        catalog.load(lay_out(tmp_path, flavors={"test-flavor": text}))


def test_lock_file_that_is_not_there(tmp_path):
    root = lay_out(tmp_path)
    (root / "docker/flavors/test-flavor/requirements-cpu.txt").unlink()
    with pytest.raises(UsageError, match=r"requirements-cpu\.txt is not there; `make lock`"):
        catalog.load(root)


def test_not_a_checkout(tmp_path):
    with pytest.raises(UsageError, match="run from a checkout"):
        catalog.load(tmp_path)


@pytest.mark.parametrize(
    ("capability", "supported"), [((7, 5), True), ((8, 0), False), (None, True)]
)
def test_image_supports_its_compute_capabilities(capability, supported):
    image = Image(accelerator="gpu", base="b", requirements="r.txt", max_compute_capability="7.5")
    assert image.supports("gpu", capability) is supported
    assert not image.supports("virtual", capability)

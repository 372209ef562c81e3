"""A description says what is wrong with it: file, table, key, value, and what was expected."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from whiteline.beamline.description import SHIPPED, Beamline, DescriptionError, load, parse, reading

TXM, NANOPROBE = (
    files("whiteline.beamline.description").joinpath(f"{name}.toml").read_text(encoding="utf-8") for name in SHIPPED
)


def refusal(text: str, name: str = "site.toml") -> str:
    with pytest.raises(DescriptionError) as refused:
        parse(text, name)
    return str(refused.value)


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) >= 1, f"{old!r} is not in the description"
    return text.replace(old, new, 1)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_descriptions_are_right(name: str) -> None:
    beamline = load(name)
    assert beamline.name == name
    assert beamline.simulation is not None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("outer_zone_width_nm = 30.0", "outer_zone_width_nm = -30.0",
         "site.toml: [zone_plate] outer_zone_width_nm = -30.0: must be greater than 0"),
        ("outer_zone_width_nm = 30.0", "outer_zone_with_nm = 30.0",
         "site.toml: [zone_plate] unknown key 'outer_zone_with_nm'; did you mean 'outer_zone_width_nm'?"),
        ("objective = 10.0", "", "site.toml: [camera] key 'objective' is missing"),
        ("objective = 10.0", 'objective = "ten"',
         "site.toml: [camera] objective = 'ten': must be a valid number, unable to parse string as a number"),
        ('low = 4.2, high = 30.0', 'low = 30.0, high = 4.2',
         "site.toml: [undulator.gap] low 30 must be below high 4.2 mm; swap the two limits"),
        ("low = 5000.0\nhigh = 12000.0", "low = 12000.0\nhigh = 5000.0",
         "site.toml: [energy] low 12000 must be below high 5000 eV; swap the two limits"),
        ("low = 5000.0\nhigh", "low = 5.0\nhigh",
         "site.toml: [energy] low = 5.0: energy 5 eV must lie above 100 eV; 5 looks like keV: write 5000"),
        ("position = 8342.3", "position = 8.3423",
         "site.toml: [simulation.species.model] entry 1 position = 8.3423: energy 8.3423 eV must lie above 100 eV; "
         "8.3423 looks like keV: write 8342.3"),
        ('unit = "deg", low = 5.0', 'unit = "mm", low = 5.0',
         "site.toml: [monochromator.bragg] unit = 'mm': must be 'deg'"),
        ('name = "Ni2+"', 'name = "Ni3+"',
         "site.toml: [simulation] two species are named 'Ni3+'; a name stands for one"),
        ("magnification = 32.5", "",
         "site.toml: a full-field microscope needs [energy] magnification, such as 32.5"),
        ("reflection = [1, 1, 1]", "reflection = [3, 1, 1]",
         "site.toml: [monochromator.bragg] must reach 18.3897 to 49.2135 deg"),
        ("high = 2500.0", "high = 2000.0",
         "site.toml: [detector.z] must reach 1019.34 to 2446.43 mm for magnification 32.5 for 5000 to 12000 eV, "
         "but its limits are 950 to 2000 mm"),
        ('low = 25.0, high = 95.0', 'low = 35.0, high = 95.0',
         "site.toml: [zone_plate.z] must reach 30.4282 to 73.0277 mm"),
        ('channel = "reference"', 'channel = "refrence"',
         "site.toml: [foil_wheel] channel 'refrence' is no counter; counters are incident, reference"),
        ("[dose_budgets_Gy]", '[roles]\nx = "sample.fine.x"\n\n[dose_budgets_Gy]', "site.toml: unknown key 'roles'"),
        ('pv = "TXM:sample:fine:y"', 'pv = "TXM:sample:fine:x"',
         "site.toml: [sample.fine.y] and [sample.fine.x] have the same pv 'TXM:sample:fine:x'; each device has"),
        ("sensor = [2048, 2048]", "sensor = [2048, 0]",
         "site.toml: [camera] sensor entry 2 = 0: must be greater than 0"),
        ("number = 3", "number = 2", "site.toml: [counters] channel number 2 is used twice; each counter has its own"),
        ('write = "~/whiteline-data/txm"', 'write = "frames"',
         "[camera.files] write = 'frames': must be an absolute folder"),
        ("absorbed = 0.5", "absorbed = 1.5",
         "[counters.channels.reference] absorbed = 1.5: must be less than or equal to 1"),
        ('kind = "full-field"', 'kind = "fullfield"', "kind = 'fullfield': must be 'full-field' or 'scanning'"),
        ('kind = "full-field"', 'kind = "full-field"\noptic = "mirrors"', 'set optic = "zone-plate"'),
        ("[counters.channels.incident]\nnumber = 2", "[counters.channels.incident]\nnumer = 2",
         "site.toml: [counters.channels.incident] unknown key 'numer'; did you mean 'number'?"),
        ('formula = "LiNiO2"', 'formula = "linio2"',
         "[simulation.species] entry 1 formula = 'linio2': is no chemical formula; write it as LiNi0.8Mn0.1Co0.1O2"),
        ('formula = "LiNiO2"', 'formula = "Xx2"', "element 'Xx' is not known; write a symbol such as Ni"),
        ('formula = "LiNiO2"', 'formula = "FeO"', "species 'Ni3+': FeO holds no 'Ni', the element to be studied"),
        ('name = "Mn", formula = "Mn"', 'name = "Mn", formula = "MnO"', "foil 'Mn' of MnO must be of one element"),
        ("LiFePO4 = 3e9", "Lifepo = 3e9", "is no chemical formula"),
        ('harmonic = "auto"', "harmonic = 4", "[undulator] harmonic = 4: must be an odd number or \"auto\""),
        ('harmonic = "auto"', "harmonic = 0", "[undulator] harmonic = 0: must be an odd number or \"auto\""),
        ("reflection = [1, 1, 1]", "reflection = [1, 1, 0]", "reflection [1, 1, 0] is forbidden in silicon"),
        ("reflection = [1, 1, 1]", "reflection = [0, 0, 0]", "[monochromator] reflection [0, 0, 0] is"),
        ("channels = { x = 1, y = 2, z = 3 }", "channels = { x = 1, y = 1 }", "must have a number each"),
        ('amplifier = "TXM:amplifier:2:"', 'amplifier = "TXM:amplifier:1:"',
         "[counters.channels.reference.amplifier] and [counters.channels.incident.amplifier] have the same pv"),
        ("low = 12.0, high = 15.0", "low = 12.0, high = 13.0",
         "[monochromator.crystal_gap] must reach 12.6"),
        ("gains_V_per_A = [1e5, 1e6", "gains_V_per_A = [1e6, 1e5", "gains_V_per_A must ascend, each once"),
        ('kind = "capillary"', 'kind = "zone-plate"', "needs diameter_um and outer_zone_width_nm, a capillary neither"),
        ('detector = "constant-magnification"', 'detector = "fixed"', "[energy] detector_mm says where a"),
        ("creep_s = 20.0", "creep_s = nan", "[simulation.drift] creep_s = nan: must be a finite number"),
    ],
)  # fmt: skip
def test_one_clear_sentence(old: str, new: str, sentence: str) -> None:
    said = refusal(changed(TXM, old, new))
    assert sentence in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "aperture_um = 60.0",
            "aperture_um = 100.0",
            "must be smaller than the central stop, 90 µm; else the zero order",
        ),
        ("distance_mm = 10.0", "distance_mm = 20.0", "cuts the first order: at most 14.518 mm here"),
        ("low = -39.0, high = -0.5", "low = -39.8, high = -0.5", "let the two come within 0.2 mm of each other"),
        ("low = -39.0, high = -0.5", "low = -39.0, high = 1.0", "lets it come nearer to the sample than its clearance"),
        ("range_nm = [350.0, 1000.0]", "range_nm = [1000.0, 350.0]", "must ascend; swap the two wavelengths"),
        ("low_V = -10.0", "low_V = 20.0", "low_V 20 must be below high_V 10; swap the two limits"),
    ],
)
def test_what_a_nanoprobe_refuses(old: str, new: str, sentence: str) -> None:
    assert sentence in refusal(changed(NANOPROBE, old, new))


def test_a_detector_that_stands_still() -> None:
    """At 2450 mm the zone plate needs 73.0 mm at 12 keV, and 30.0 mm at 5 keV."""
    fixed = changed(TXM, 'detector = "constant-magnification"', 'detector = "fixed"\ndetector_mm = 2450.0')
    assert parse(fixed, "site.toml").energy.detector_mm == 2450
    assert "[zone_plate.z] must reach 29.8844" in refusal(
        changed(fixed, "low = 25.0, high = 95.0", "low = 31.0, high = 95.0")
    )
    assert "[detector.z] must reach 2600 mm where the detector stands" in refusal(changed(fixed, "2450.0", "2600.0"))


def test_every_mistake_is_named_at_once() -> None:
    text = changed(changed(TXM, "objective = 10.0", "objective = -1.0"), "dark = 100.0", "darkness = 100.0")
    lines = refusal(text).splitlines()
    assert lines == [
        "site.toml: [camera] objective = -1.0: must be greater than 0",
        "site.toml: [camera] unknown key 'darkness'; did you mean 'dark'?",
    ]


def test_a_key_given_twice_and_a_slip_in_the_syntax() -> None:
    assert "site.toml is no TOML" in refusal(changed(TXM, "dark = 100.0", "dark = 100.0\ndark = 90.0"))
    assert "at line 2" in refusal("[energy]\nlow 5000\n")


@pytest.mark.parametrize(
    ("species", "words"),
    [
        ('file = "oxide.txt"', 'needs unit = "eV" or "keV"; it is not guessed'),
        ('file = "oxide.txt"\nunit = "meV"', "unit = 'meV': must be 'eV' or 'keV'"),
        ("", "needs a spectrum: either a model or a file, not both"),
    ],
)
def test_species_of_a_site(species: str, words: str) -> None:
    text = (
        TXM + f'\n[[simulation.species]]\nname = "other"\nformula = "NiO"\ndensity = 6.7\nelement = "Ni"\n{species}\n'
    )
    assert words in refusal(text)


def test_a_description_is_found_by_name_by_file_and_by_environment(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(changed(TXM, 'name = "txm"', 'name = "bl42"'))
    assert load().name == "txm"
    assert load("nanoprobe").name == "nanoprobe"
    assert load(site).name == "bl42"
    assert load(environment={"WHITELINE_BEAMLINE": str(site)}).name == "bl42"
    assert load("txm", {"WHITELINE_BEAMLINE": str(site)}).name == "txm"


def test_a_description_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DescriptionError, match=r"cannot be read: no such file or directory; give a file, or one of txm"
    ):
        load(tmp_path / "none.toml")
    binary = tmp_path / "frames.h5"
    binary.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(DescriptionError, match=r"it is not utf-8 text"):
        load(binary)


def test_a_class_of_the_site_may_take_the_place_of_ours() -> None:
    text = changed(TXM, "[undulator]\n", '[undulator]\nclass = "mysite.undulator:U42"\n')
    assert parse(text, "site.toml").undulator.site_class == "mysite.undulator:U42"
    assert "[undulator] class = 'U42'" in refusal(changed(TXM, "[undulator]\n", '[undulator]\nclass = "U42"\n'))


def test_the_page_on_descriptions_tells_the_truth(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps work: a copy without [simulation] is a beamline; its example says what is wrong; its tables exist."""
    page = (root / "docs" / "put-your-beamline-in-a-toml-file.md").read_text()
    monkeypatch.chdir(tmp_path)
    for text in (TXM, NANOPROBE):
        (tmp_path / "site.toml").write_text(text[: text.index("\n[simulation]")])
        assert load("site.toml").simulation is None
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example
    (tmp_path / "site.toml").write_text(changed(TXM, "objective = 10.0", "objective = 0"))
    said: list[str] = []
    exec(example[1], {"print": lambda words: said.append(str(words))})
    assert said == ["site.toml: [camera] objective = 0: must be greater than 0"]
    for table in re.findall(r"`\[(\w+)[.\]]", page):
        assert table in Beamline.model_fields, table


def test_a_description_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().name = "other"


@given(st.text(max_size=40))
def test_any_text_is_a_description_or_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError):
        parse(text, "site.toml")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["energy", "camera", "zone_plate", "z", "low", "simulation", "species", "model", "counters", "channels"]
    ), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
@example({"counters": {"channels": {"z": {"low": 1}}}})
@example({"counters": {"channels": {"incident": {"numer": 1}}}, "simulation": {"species": [{"model": {"z": 1}}]}})
def test_any_tables_are_refused_in_sentences(content: object) -> None:
    """Whatever stands in a table, the refusal is sentences of ours, never an error of their making."""
    body = content if isinstance(content, dict) else {"energy": content}
    try:
        Beamline.model_validate(body)
    except ValidationError as error:
        said = reading.sentences("site.toml", error, body)
        assert said
        assert all(sentence.startswith("site.toml: ") for sentence in said)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_figures_of_the_hardware_sheet(name: str) -> None:
    beamline = load(name)
    axes, truth = beamline.axes(), beamline.simulation
    assert truth is not None

    def moves(path: str) -> tuple[float, float]:
        return axes[path].velocity, axes[path].acceleration_s

    assert moves("monochromator.bragg") == (0.2, 0.2)
    assert truth.wander.encoder_noise_urad == 0.05
    assert truth.wander.jitter_urad == 0.2
    assert truth.wander.drift_urad_per_h == 0.5
    assert (axes["undulator.gap"].velocity, axes["undulator.gap"].low) == (0.1, 4.2)
    assert beamline.undulator.busy_latency_s == 0.5
    assert moves("zone_plate.z") == (1.0, 0.1)
    assert truth.wander.run_out_um_per_mm == (1.5, -3.0)
    assert moves("sample.coarse.x") == (5.0, 0.2)
    assert truth.stages.coarse_repeatability_nm == 50
    assert beamline.sample.out_mm == 5
    assert axes["sample.fine.x"].high - axes["sample.fine.x"].low == 100
    assert axes["sample.fine.x"].settle_s == truth.stages.piezo_settle_s == 0.005
    assert (truth.stages.vibration_nm, truth.stages.vibration_Hz) == (3.0, (40.0, 120.0))
    assert truth.stages.interferometer_noise_nm == 0.5
    assert beamline.sample.interferometer is not None
    assert beamline.sample.interferometer.rate_Hz == 1000
    assert moves("sample.rotation") == (12.0, 0.5)
    assert truth.stages.rotation_wobble_nm == 50
    assert (beamline.ring.current_mA, truth.ring.lifetime_h, truth.ring.top_up_s) == (400, 8, 120)
    assert (truth.drift.walk_nm, truth.drift.creep_nm_per_s, truth.drift.creep_s) == (2, 5, 20)
    assert beamline.shutters.fast.move_s == 0.02
    assert all(axis.backlash == 0 for axis in axes.values())
    assert beamline.undulator.law(beamline.ring).choose_harmonic([8200.0, 8600.0]) == 5


def test_the_camera_of_the_hardware_sheet() -> None:
    beamline = load("txm")
    camera, stage, lens = beamline.camera, beamline.detector, beamline.zone_plate
    assert camera is not None
    assert stage is not None
    assert lens is not None
    assert beamline.simulation is not None
    errors = beamline.simulation.camera
    assert errors is not None
    assert (camera.sensor, camera.pixel_um, camera.bits) == ((2048, 2048), 6.5, 16)
    assert (camera.efficiency, camera.dark, camera.readout_s, camera.objective) == (0.5, 100, 0.02, 10)
    assert (errors.read_noise, errors.hot_share) == (1.6, 1e-4)
    assert (stage.z.velocity, stage.z.acceleration_s) == (5.0, 0.3)
    assert (lens.diameter_um, lens.outer_zone_width_nm, lens.efficiency) == (244, 30, 0.1)


def test_the_nanoprobe_of_the_hardware_sheet() -> None:
    beamline = load("nanoprobe")
    lens, aperture, mirrors, xrf = (
        beamline.zone_plate,
        beamline.order_sorting_aperture,
        beamline.mirrors,
        beamline.fluorescence,
    )
    assert lens is not None
    assert aperture is not None
    assert mirrors is not None
    assert xrf is not None
    assert (lens.diameter_um, lens.outer_zone_width_nm, lens.central_stop_um) == (240, 60, 90)
    assert (aperture.aperture_um, aperture.distance_mm, aperture.clearance_mm) == (60, 10, 0.5)
    assert (mirrors.vertical.focal_length_mm, mirrors.horizontal.focal_length_mm) == (300, 150)
    assert (xrf.elements, xrf.bins, xrf.bin_eV, xrf.dead_time_s, xrf.solid_angle) == (4, 4096, 10, 0.25e-6, 0.01)
    assert beamline.simulation is not None
    assert beamline.simulation.illumination.photons_per_s == 1e9
    assert beamline.simulation.fluorescence is not None
    assert beamline.simulation.fluorescence.electronic_eV == 110
    assert beamline.sample.interferometer is not None
    assert len(beamline.sample.interferometer.channels) == 3
    assert beamline.bias is not None
    assert beamline.spectrometer is not None


def test_the_store_is_a_folder_if_nothing_else_is_said() -> None:
    store = load("txm").store
    assert store.folder == Path.home() / "whiteline-data" / "txm-catalog"
    assert store.catalog_uri == f"sqlite:///{store.folder}/catalog.db"
    assert store.tables_uri == f"sqlite:///{store.folder}/tables.db"
    without = parse(re.sub(r"\[store\][^\[]*", "", TXM), "site.toml").store
    assert without.folder == Path.home() / "whiteline-data" / "catalog"


@pytest.mark.parametrize(
    ("line", "catalog", "tables", "served"),
    [
        ('catalog = "postgresql://me@host/runs"', "postgresql://me@host/runs", "postgresql://me@host/runs", False),
        ('catalog = "postgresql://me@host/a"\ntables = "postgresql://me@host/b"', "postgresql://me@host/a",
         "postgresql://me@host/b", False),
        ('catalog = "http://127.0.0.1:8000"', "http://127.0.0.1:8000", None, True),
    ],
)  # fmt: skip
def test_the_catalog_of_a_store_moves_by_its_address(line: str, catalog: str, tables: str | None, served: bool) -> None:
    store = parse(changed(TXM, 'folder = "~/whiteline-data/txm-catalog"', f'folder = "/data"\n{line}'), "x").store
    assert (store.catalog_uri, store.served) == (catalog, served)
    assert tables is None or store.tables_uri == tables


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('catalog = "mongodb://host"', "catalog = 'mongodb://host' is no address of a catalog: it must begin with one "
         "of sqlite://, postgresql://, http://, https://"),
        ('catalog = "http://h"\ntables = "sqlite:///x"',
         "tables belong to the server of the catalog; leave tables out where catalog is http://"),
        ("events_per_write = 0", "events_per_write = 0: must be greater than 0"),
        ("keep_journal_days = 3", "unknown key 'keep_journal_days'; did you mean 'keep_journals_days'?"),
    ],
)  # fmt: skip
def test_mistakes_in_the_store_are_told(line: str, sentence: str) -> None:
    told = refusal(changed(TXM, 'folder = "~/whiteline-data/txm-catalog"', line))
    assert told.startswith("site.toml: [store] ")
    assert sentence in told

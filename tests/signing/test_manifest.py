from hypothesis import given
from hypothesis import strategies as st

from modelsec.signing.manifest import Layout, Manifest, Resource, ordered

DIGEST = bytes(32)


def manifest(*names: str, digest: bytes = DIGEST) -> Manifest:
    return Manifest(tuple(Resource(name, digest) for name in names))


def test_the_root_digest_is_that_of_the_specification() -> None:
    """SHA-256 over the raw digests in their order: the example of a published bundle."""
    digests = (
        "bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc",
        "32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028",
    )
    model = Manifest(
        tuple(Resource(f"signme-{n}", bytes.fromhex(d)) for n, d in enumerate(digests, 1))
    )
    assert model.root_digest == "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4"


def test_the_root_digest_does_not_bind_names_and_the_tree_digest_does() -> None:
    """Why there are two digests: a renamed file keeps the first and changes the second."""
    before, after = manifest("model.safetensors"), manifest("model.py")
    assert before.root_digest == after.root_digest
    assert before.tree_digest != after.tree_digest


def test_the_tree_digest_does_not_depend_on_the_order_of_the_list() -> None:
    """Other implementations list files in another order; it is the same model."""
    assert manifest("a", "b").tree_digest == manifest("b", "a").tree_digest


def test_the_tree_digest_binds_algorithm_ranges_and_empty_files() -> None:
    """Nothing that says which bytes these are can change without changing it."""
    plain = manifest("a")
    others = [
        Manifest(plain.resources, Layout("blake3")),
        Manifest((Resource("a", DIGEST, 0, 10),), Layout(shard_size=10)),
        Manifest((Resource("a", DIGEST, 0, 11),), Layout(shard_size=11)),
        Manifest((Resource("a:0:10", DIGEST),)),
        Manifest(plain.resources, empty_files=("b",)),
        manifest("a", digest=bytes(31) + b"\1"),
    ]
    digests = {each.tree_digest for each in [plain, *others]}
    assert len(digests) == len(others) + 1


@given(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=4, unique=True))
def test_names_cannot_run_into_each_other(names: list[str]) -> None:
    """Names are prefixed with their length: no two lists of names read the same."""
    joined = "".join(names)
    assert manifest(*names).tree_digest != manifest(joined).tree_digest


def test_shards_are_listed_by_the_code_points_of_their_labels() -> None:
    """``10`` sorts before ``5``, as the text of OMS has it."""
    shards = [Resource("w", DIGEST, 5, 10), Resource("w", DIGEST, 10, 15)]
    assert [each.label for each in ordered(shards)] == ["w:10:15", "w:5:10"]

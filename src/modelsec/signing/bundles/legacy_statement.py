"""The statement of OMS 0.2.0: one subject a file, and no word about how they were hashed."""

from modelsec.errors import BundleFormatError, UnsupportedBundleError, shown
from modelsec.signing.bundles.members import as_object, list_of_objects, text_in
from modelsec.signing.bundles.predicate_reader import ROOT_NAME, check_names, digest_bytes
from modelsec.signing.manifest import DIGEST_BYTES, Layout, Manifest, Resource
from modelsec.signing.profile import Profile

_ALGORITHMS = (None, "file-sha256", "sha256")


def read_legacy(
    statement: dict[str, object],
    *,
    profile: Profile,
    single_file: bool,
) -> Manifest:
    """Return the manifest of a statement of OMS 0.2.0; all names are checked.

    Raises:
        BundleFormatError: it breaks the rules.
        UnsupportedBundleError: it was hashed otherwise than file by file with SHA-256.
    """
    subjects = list_of_objects(statement["subject"], "the statement's subject")
    if not subjects:
        raise BundleFormatError("the statement lists no file: it would fit any model")
    resources = [_resource(subject) for subject in subjects]
    names = {resource.name for resource in resources}
    if len(names) != len(resources):
        raise BundleFormatError("the statement lists a file twice")
    if not (single_file and names == {ROOT_NAME}):
        check_names(names, profile)
    return Manifest(resources=tuple(resources), layout=Layout(), single_file=single_file)


def _resource(subject: dict[str, object]) -> Resource:
    name = text_in(subject, "name", "a subject")
    annotations = as_object(subject.get("annotations", {}), "a subject's annotations")
    if annotations.get("actual_hash_algorithm") not in _ALGORITHMS:
        raise UnsupportedBundleError(
            f"the file {shown(name)} was not hashed as a whole with SHA-256, which is all that is "
            "read of OMS 0.2.0: sign the model again"
        )
    digests = as_object(subject.get("digest"), "a subject's digest")
    digest = digest_bytes(
        text_in(digests, "sha256", "a subject's digest"), DIGEST_BYTES["sha256"], shown(name)
    )
    return Resource(name, digest)

"""The reference implementation of OMS, and the adapter for its conformance suite."""

from pathlib import Path

import pytest
from benchmarks import oms_adapter
from benchmarks.signing_interop import ALGORITHMS, CURVES, make_model, with_certificate, with_key

from modelsec.signing import PrivateKey
from tests.support.pki_files import write_pki


@pytest.mark.parametrize("layout", ["files", "shards"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_its_signatures_verify(algorithm: str, layout: str, tmp_path: Path) -> None:
    """All that it writes is read, whatever it deviates in; all that it can read verifies there."""
    row = with_key(tmp_path / "keys", make_model(tmp_path), "ecdsa-p256", layout, algorithm)
    assert row.reference_read_by_us == "verified"
    if row.required:
        assert row.ours_read_by_reference == "verified"


@pytest.mark.parametrize("curve", CURVES)
def test_keys_and_certificates_of_every_curve(curve: str, tmp_path: Path) -> None:
    """Both ways, with an intermediate certificate."""
    model = make_model(tmp_path)
    for row in (
        with_key(tmp_path / "keys", model, curve, "files", "sha256"),
        with_certificate(tmp_path / "certificates", model, curve),
    ):
        assert (row.ours_read_by_reference, row.reference_read_by_us) == ("verified", "verified")


def test_its_single_files_verify(tmp_path: Path) -> None:
    """It names them ``.``, against the text, and refuses the name that the text asks for."""
    single = make_model(tmp_path) / "config.json"
    row = with_key(tmp_path / "keys", single, "ecdsa-p256", "single file", "sha256")
    assert row.reference_read_by_us == "verified"


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A model, its bundle as the adapter writes it, and the public key."""
    model, bundle = make_model(tmp_path), tmp_path / "model.sig"
    key = PrivateKey.generate()
    key.save(tmp_path / "key.pem")
    key.public.save(tmp_path / "key.pub.pem")
    (model / "notes").write_text("x", "utf-8")
    call = ["sign-model", "--method", "key", "--model-path", str(model), "--private-key"]
    call += [str(tmp_path / "key.pem"), "--output-bundle", str(bundle), "--ignore-paths"]
    assert oms_adapter.main([*call, str(model / "notes"), str(bundle)]) == 0
    return model, bundle, tmp_path / "key.pub.pem"


def test_the_adapter_signs_and_verifies(signed: tuple[Path, Path, Path]) -> None:
    """As the conformance suite calls it: absolute paths, one of them outside the model."""
    model, bundle, public = signed
    call = ["verify-model", "--method", "key", "--model-path", str(model), "--bundle", str(bundle)]
    call += ["--public-key", str(public)]
    assert oms_adapter.main(call) == 0
    (model / "new").write_text("x", "utf-8")
    assert oms_adapter.main(call) == 1
    assert oms_adapter.main([*call, "--ignore-unsigned-files"]) == 0
    assert oms_adapter.main([*call, "--ignore-paths", str(model / "new")]) == 0
    assert oms_adapter.main([*call, "--use-staging"]) == 2


def test_the_adapter_knows_certificates(tmp_path: Path) -> None:
    """The chain that it is given holds the root."""
    model, bundle, files = make_model(tmp_path), tmp_path / "model.sig", write_pki(tmp_path)
    call = ["--method", "certificate", "--model-path", str(model)]
    chain = ["--cert-chain", str(files.intermediate), "--cert-chain", str(files.root)]
    signing = ["--private-key", str(files.key), "--signing-cert", str(files.leaf)]
    signing += ["--output-bundle", str(bundle)]
    assert oms_adapter.main(["sign-model", *call, *chain, *signing]) == 0
    assert oms_adapter.main(["verify-model", *call, *chain, "--bundle", str(bundle)]) == 0
    other = tmp_path / "other"
    other.mkdir()
    root = ["--cert-chain", str(write_pki(other).root)]
    assert oms_adapter.main(["verify-model", *call, *root, "--bundle", str(bundle)]) == 1


def test_the_adapter_does_not_sign_keylessly(tmp_path: Path) -> None:
    """It says so, instead of trying the network."""
    call = ["sign-model", "--method", "sigstore", "--model-path", str(tmp_path)]
    with pytest.raises(SystemExit, match="Sigstore"):
        oms_adapter.main([*call, "--output-bundle", str(tmp_path / "x")])

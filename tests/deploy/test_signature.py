"""Signatures of really made keys."""

import json
import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pocketbert.compress.errors import BundleError, UserError
from pocketbert.deploy.bundle import hash_file, read_bundle
from pocketbert.deploy.engine import Engine
from pocketbert.deploy.signature import sign, verify_signature

PEM = serialization.Encoding.PEM
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo
PRIVATE = serialization.PrivateFormat.PKCS8


def make_key(folder, name, private=None):
    private = private or ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(PEM, PRIVATE, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(secret)
    (folder / f"{name}.pub").write_bytes(private.public_key().public_bytes(PEM, PUBLIC))
    return folder / f"{name}.pem", folder / f"{name}.pub"


@pytest.fixture
def key(tmp_path):
    return make_key(tmp_path, "key")


@pytest.fixture
def signed(bert, tmp_path, key):
    bundle = shutil.copytree(bert.bundle, tmp_path / "bundle")
    sign(bundle, key[0])
    return bundle


def test_a_signed_bundle_opens_with_its_key_and_without_any(signed, key):
    assert Engine.open(signed, trusted_key=key[1])(["superb"])
    assert Engine.open(signed)(["superb"])
    assert [path.name for path in signed.parent.iterdir() if ".sig" in path.name] == []


def test_a_copy_under_another_name_is_still_signed(signed, key, tmp_path):
    verify_signature(shutil.copytree(signed, tmp_path / "elsewhere"), key[1])


def test_another_key_is_refused(signed, tmp_path):
    _, other = make_key(tmp_path, "other")
    with pytest.raises(BundleError, match=r"does not hold .* expected a bundle signed with"):
        Engine.open(signed, trusted_key=other)


def test_an_unsigned_bundle_is_refused(bert, key):
    with pytest.raises(BundleError, match=r"has no model\.sig, expected a bundle signed"):
        Engine.open(bert.bundle, trusted_key=key[1])


def replace_answers(bundle):
    """Change a file together with its hash, which the manifest alone cannot tell."""
    (bundle / "golden.json").write_text("{}")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sha256"]["golden.json"] = hash_file(bundle / "golden.json")
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def resign_without_the_hint(bundle):
    """Another signature over the same files, which does not say whose it is."""
    private, _ = make_key(bundle.parent, "thief")
    sign(bundle, private)
    envelope = json.loads((bundle / "model.sig").read_text())
    del envelope["verificationMaterial"]["publicKey"]["hint"]
    (bundle / "model.sig").write_text(json.dumps(envelope))


TAMPERED = {
    "a file and its hash": replace_answers,
    "a further file": lambda bundle: (bundle / "more").write_text("x"),
    "half a signature": lambda bundle: (bundle / "model.sig").write_text(
        (bundle / "model.sig").read_text()[:200]
    ),
    "an empty signature": lambda bundle: (bundle / "model.sig").write_text(""),
    "a signature that does not say whose it is": resign_without_the_hint,
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_after_the_signature_is_refused(signed, key, name):
    TAMPERED[name](signed)
    if name == "a file and its hash":
        read_bundle(signed)  # nothing else would notice
    for verify in ("all", "lazy"):
        with pytest.raises(BundleError, match="does not hold") as caught:
            Engine.open(signed, trusted_key=key[1], verify=verify)
        assert "\n" not in str(caught.value)


def test_a_signature_that_is_a_link_is_refused(signed, key):
    (signed / "model.sig").rename(signed.parent / "elsewhere")
    (signed / "model.sig").symlink_to(signed.parent / "elsewhere")
    with pytest.raises(BundleError, match="symbolic link"):
        read_bundle(signed)


def test_keys_of_other_kinds_are_refused(signed, tmp_path):
    private, public = make_key(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    with pytest.raises(UserError, match="expected a private key in PEM"):
        sign(signed, private)
    with pytest.raises(UserError, match="expected a public key in PEM"):
        verify_signature(signed, public)
    with pytest.raises(UserError, match="expected a private key in PEM"):
        sign(signed, tmp_path / "nowhere.pem")


def test_a_broken_bundle_is_not_signed(signed, key):
    (signed / "golden.json").unlink()
    with pytest.raises(BundleError, match="lacks golden"):
        sign(signed, key[0])


def test_commands(bert, tmp_path, key):
    bundle = shutil.copytree(bert.bundle, tmp_path / "bundle")

    def run(command, at):
        program = [sys.executable, "-c", "from pocketbert.recipes.cli import main; main()"]
        return subprocess.run(
            [*program, command, bundle, "--key", at], capture_output=True, text=True
        )

    assert run("verify", key[1]).returncode == 2
    assert run("sign", key[0]).returncode == 0
    done = run("verify", key[1])
    assert (done.returncode, "is whole and signed" in done.stdout) == (0, True)
    (bundle / "calibration.json").write_text("{}")
    done = run("verify", key[1])
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "error: the signature of" in done.stderr


def test_the_command_of_model_signing_verifies_it_as_well(signed, key):
    program = [sys.executable, "-m", "model_signing", "verify", "key", signed]
    options = ["--signature", signed / "model.sig", "--public_key", key[1]]
    done = subprocess.run([*program, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Signs a bundle with an elliptic-curve key, in OpenSSF's format for models.

`model.sig` in the bundle's folder is over every other file, so the `model_signing` command verifies
it as well. Keys are PEM files: `openssl ecparam -name prime256v1 -genkey -noout -out private.pem`,
`openssl ec -in private.pem -pubout -out public.pem`.
"""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from model_signing import hashing, signing, verifying

from pocketbert.compress.errors import BundleError, UserError

from .bundle import SIGNATURE, read_bundle


def sign(bundle: Path, private_key: Path) -> Path:
    """Sign a bundle; an earlier signature is replaced.

    Returns:
        The signature's file.

    Raises:
        BundleError: The bundle is broken.
        UserError: The key is no private key on a curve of NIST P-256, P-384 or P-521.
    """
    read_bundle(bundle)
    signature = bundle / SIGNATURE
    temporary = bundle.parent / f".{bundle.name}.{SIGNATURE}"
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=private_key)
    except Exception as error:  # what the key parser raises shares no narrower base
        raise UserError(
            f"{private_key} is not a key to sign with ({error}), expected a private key in PEM "
            "format without a password, on NIST P-256, P-384 or P-521"
        ) from error
    ignored = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    signer.set_hashing_config(ignored).sign(bundle, temporary)
    temporary.replace(signature)
    return signature


def verify_signature(bundle: Path, public_key: Path) -> None:
    """Check that a key signed a bundle, and that no file is another one since.

    Raises:
        BundleError: There is no signature, it is of another key, or a file was changed.
        UserError: The key is no public key.
    """
    signature = bundle / SIGNATURE
    if signature.is_symlink() or not signature.is_file():
        raise BundleError(
            f"{bundle} has no {SIGNATURE}, expected a bundle signed with the private key of "
            f"{public_key}; get a signed one"
        )
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except Exception as error:  # what the key parser raises shares no narrower base
        raise UserError(
            f"{public_key} is not a key to verify with ({error}), expected a public key in PEM "
            "format on NIST P-256, P-384 or P-521"
        ) from error
    try:
        verifier.verify(bundle, signature)
    except InvalidSignature as error:
        raise _refused(bundle, public_key, "it is of another key or was changed") from error
    except Exception as error:  # a damaged signature fails in one of many parsers
        raise _refused(bundle, public_key, " ".join(str(error).split())) from error


def _refused(bundle: Path, public_key: Path, reason: str) -> BundleError:
    return BundleError(
        f"the signature of {bundle} does not hold ({reason.rstrip('. ')}), expected a bundle "
        f"signed with the private key of {public_key}; do not use it"
    )

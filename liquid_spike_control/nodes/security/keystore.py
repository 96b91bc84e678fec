# SPDX-License-Identifier: Apache-2.0
"""A keystore in the layout of SROS2: one authority, and for each enclave a key, a certificate and signed permissions.

Made by ``cryptography``, so that it needs no ``ros2 security``; that command can add enclaves to it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from ...errors import GraphError
from ...outputs import written_folder
from .policy import Enclaves, governance_xml, permissions_xml

#: How long keys and permissions hold.
VALID = timedelta(days=3650)
AUTHORITY = "sros2CA"
_PEM = serialization.Encoding.PEM


def write_keystore(folder: str | Path, enclaves: Enclaves, domain: int, now: datetime | None = None) -> None:
    """Make a keystore.

    Args:
        folder: where to; it must not exist.
        enclaves: from :func:`.permissions.permissions`.
        domain: the ROS domain that the permissions are for.
        now: from when they hold, UTC; by default a day ago, for clocks that are not set.

    Raises:
        GraphError: the folder exists.
        OutputError: it cannot be written; nothing is left of it.
    """
    folder = Path(folder)
    begin = now or datetime.now(UTC) - timedelta(days=1)
    end = begin + VALID
    if os.path.lexists(folder):
        raise GraphError(f"{folder} exists; give another folder, keys are not written over")
    with written_folder(folder) as whole:
        _fill(whole, enclaves, domain, begin, end)


def _fill(folder: Path, enclaves: Enclaves, domain: int, begin: datetime, end: datetime) -> None:
    for name in ("public", "enclaves"):
        (folder / name).mkdir()
    (folder / "private").mkdir(mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(AUTHORITY, key, AUTHORITY, key, begin, end)
    _write_key(folder / "private/ca.key.pem", key)
    (folder / "public/ca.cert.pem").write_bytes(authority.public_bytes(_PEM))
    for who in ("identity_ca", "permissions_ca"):
        (folder / f"private/{who}.key.pem").symlink_to("ca.key.pem")
        (folder / f"public/{who}.cert.pem").symlink_to("ca.cert.pem")
    _write_signed(folder / "enclaves/governance", governance_xml(domain), authority, key)
    for path, nodes in enclaves.items():
        enclave = folder / "enclaves" / path.strip("/")
        enclave.mkdir()
        up = Path(*[".."] * len(enclave.relative_to(folder).parts))
        for who in ("identity_ca", "permissions_ca"):
            (enclave / f"{who}.cert.pem").symlink_to(up / f"public/{who}.cert.pem")
        (enclave / "governance.p7s").symlink_to(up / "enclaves/governance.p7s")
        own = ec.generate_private_key(ec.SECP256R1())
        _write_key(enclave / "key.pem", own)
        certificate = _certificate(path, own, AUTHORITY, key, begin, end)
        (enclave / "cert.pem").write_bytes(certificate.public_bytes(_PEM))
        _write_signed(enclave / "permissions", permissions_xml(path, nodes, domain, begin, end), authority, key)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    begin: datetime,
    end: datetime,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    authority = issuer_key is key
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=1 if authority else None), critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _write_signed(
    path: Path, text: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """``path.xml`` as it is, and ``path.p7s`` signed, as S/MIME."""
    path.with_suffix(".xml").write_text(text)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(text.encode()).add_signer(certificate, key, hashes.SHA256())
    options = [pkcs7.PKCS7Options.Text, pkcs7.PKCS7Options.DetachedSignature]
    path.with_suffix(".p7s").write_bytes(builder.sign(serialization.Encoding.SMIME, options))

"""A site's own authorities are trusted beside the system's, never in their place."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from binderbox.parts.secrets.ca import make_ca
from binderbox.world.http import authorities


def loaded(text: str) -> set[str]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=text)
    return {str(one["serialNumber"]) for one in tls.get_ca_certs()}


def test_the_systems_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, site = make_ca("the system's").certificate_pem, make_ca("a site's").certificate_pem
    (tmp_path / "system.pem").write_text(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    assert loaded(authorities.beside_the_systems([site])) == loaded(system) | loaded(site)


def test_a_folder_of_them_is_read_where_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = make_ca("the system's").certificate_pem
    (tmp_path / "0123abcd.0").write_text(system)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setattr(authorities, "KNOWN", ())
    paths = ssl.get_default_verify_paths()._replace(cafile=None, openssl_cafile=str(tmp_path / "none.pem"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert loaded(authorities.beside_the_systems([])) == loaded(system)

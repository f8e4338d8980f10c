"""What people type for a change, held to what can stand in YAML, Markdown and HTML alike."""

from __future__ import annotations

import re

from binderbox.decide import urls
from binderbox.errors import UsageError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # of DNS; a member's name is one
# people paste typographic quotes and dashes with the names of institutions
SIGNS = " .,'&()+/\u2018\u2019\u201c\u201d\u2013\u2014-"
WORDS = re.compile(rf"[^\W_]((?!_)[\w{SIGNS}]*[\w.)\u2019\u201d])?")
# what YAML, of helm or of Python, reads as a number: 1e3, 12e-4, 0x1f, 0o17, 0b1
NUMBER = re.compile(r"[\d-]+|\d+e-?\d+|0[xob][\da-f]+")
WHOLE = re.compile(r"\d{1,6}", re.ASCII)
NUMERIC = re.compile(r"\d+|0x[\da-f]*")  # what browsers take for a part of an address


def checked_name(name: str) -> str:
    """A member's name that is safe as a key, in addresses and in branch names; raises UsageError."""
    if LABEL.fullmatch(name) and not NUMBER.fullmatch(name) and name not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n"):  # fmt: skip
        return name
    raise UsageError(
        f"{name!r} cannot be a member's name",
        cause="needed: small letters, digits and dashes, at least one letter, at most 63, nothing that YAML reads "
        "as a number, true, false or null",
        remedy="give another one with --name",
    )


def checked_words(what: str, words: str) -> str:
    """One line of plain words for a comment, a page and a list; raises UsageError."""
    if not words or (len(words) <= 80 and WORDS.fullmatch(words) and words.isprintable()):
        return words
    odd = sorted({sign for sign in words if not (re.fullmatch(rf"[\w{SIGNS}]", sign) and sign != "_")})
    raise UsageError(
        f"{what} {words!r}: needed are plain words on one line, at most 80 characters",
        cause="letters, digits, spaces, quotes, dashes and .,'&()+/- can stand in YAML, Markdown and HTML alike"
        + (
            f"; not: {' '.join(ascii(sign) if not sign.isprintable() else sign for sign in odd)}"
            if odd
            else ""
        ),
    )


def checked_url(what: str, url: str, *, http: bool = False) -> str:
    """An address that can stand in YAML, Markdown and HTML, as a browser writes it, without a slash at its end.

    Raises UsageError.
    """
    needed = f"{what} {url!r}: needed is an address such as https://binder.example.org"
    try:
        clean = urls.canonical(url)
    except ValueError as error:
        raise UsageError(needed, cause=str(error)) from error
    scheme = "https?" if http else "https"
    if urls.port(clean) == 0 or re.search(r"%(?![\da-fA-F]{2})", clean):
        raise UsageError(needed)
    if re.fullmatch(rf"{scheme}://[a-z0-9.-]+(:\d{{1,5}})?(/[A-Za-z0-9._~/?=&%+@-]*)?", clean):
        return clean
    raise UsageError(needed)


def checked_member_url(url: str, *, http: bool = False) -> str:
    """The address of a member, which visitors from anywhere reach by a name of the public DNS; raises UsageError."""
    clean = checked_url("the member's address", url, http=http)
    host = urls.host_of(clean)
    if "?" in clean:
        raise UsageError(f"the member's address {url!r}: needed is one without a query")
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or (len(labels) == 1 and host != "localhost"):
        raise UsageError(f"the member's address {url!r}: {host} is no name of a host in the public DNS")
    if not http and NUMERIC.fullmatch(labels[-1]):
        raise UsageError(
            f"the member's address {url!r}: needed is a name, not {host}",
            cause="visitors from anywhere are sent there, and a certificate is for a name",
            remedy="give its address by name, such as https://binder.example.org",
        )
    return clean


def checked_why(why: str) -> str:
    """Words for a commit's message; raises UsageError for what a terminal of another encoding made of them."""
    try:
        why.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            "--why: these words are no UTF-8", remedy="type them in a terminal that is"
        ) from error
    return why


def checked_contact(contact: str) -> str:
    """A page's address or a mail address, "" for none; raises UsageError."""
    if not contact or re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", contact, re.ASCII):
        return contact
    return checked_url("--contact", contact)


def checked_weight(weight: str | int) -> int:
    """A whole number of at least 0; raises UsageError."""
    if WHOLE.fullmatch(str(weight)):
        return int(weight)
    raise UsageError(
        f"weight {weight}: needed is a whole number of at least 0, and of six digits at most",
        cause="a member's share of launches is its weight over the sum of all weights",
        remedy="binderbox federation weight NAME 50",
    )

"""Names of images and build pods, made from what a repository provider says.

Both are lower case, hold a hash of the unshortened text, and are never longer than the registry or Kubernetes allows.
"""

import hashlib
import re
import string

_SAFE = set(string.ascii_letters + string.digits)
_DOCKER_HUB = re.compile("[a-z0-9]{4,40}/[a-z0-9._-]{2,255}")


def escape(text: str) -> str:
    """`a.b` becomes `a-2eb`: every byte of an unsafe character as a dash and two hexadecimal digits."""
    return "".join(c if c in _SAFE else "".join(f"-{byte:02x}" for byte in c.encode()) for c in text)


def safe_slug(slug: str, limit: int, hash_length: int = 6) -> str:
    digest = hashlib.sha256(slug.encode()).hexdigest()
    return f"{escape(slug)[: limit - hash_length - 1]}-{digest[:hash_length]}".lower()


def build_name(slug: str, ref: str, prefix: str = "build-", limit: int = 63, ref_length: int = 6) -> str:
    """The build pod's name: the same for every request of one commit, which is how they share a pod."""
    repository = safe_slug(slug, limit=limit - len(prefix) - ref_length - 1)
    commit = safe_slug(ref, limit=ref_length, hash_length=2)
    return f"{prefix}{repository}-{commit[:ref_length]}".lower()


def image_name(prefix: str, slug: str, ref: str) -> str:
    return f"{prefix}{safe_slug(slug, limit=255 - len(prefix))}:{ref}".replace("_", "-").lower()


def without_registry(image: str) -> tuple[str, str]:
    """`host:port/name:tag` to (`name`, `tag`); what precedes the first slash is taken for the registry."""
    name, colon, tag = image.rpartition(":")
    if not colon:
        name, tag = image, "latest"
    if _DOCKER_HUB.fullmatch(name):
        return name, tag
    return name.partition("/")[2], tag

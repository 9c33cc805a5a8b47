from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kneighbors.errors import StorageError
from kneighbors.storage import Address

_NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
_KEYS = st.lists(
    st.text(
        st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]),
        min_size=1,
        max_size=20,
    ).filter(lambda name: name not in (".", "..")),
    min_size=1,
    max_size=5,
).map("/".join)


@pytest.mark.parametrize(
    ("text", "scheme", "bucket", "key"),
    [
        ("wines.npy", "file", "", "wines.npy"),
        ("./a b/ü.npy", "file", "", "./a b/ü.npy"),
        ("/data/train/", "file", "", "/data/train/"),
        ("-rf", "file", "", "-rf"),
        ("s3", "file", "", "s3"),
        ("a:b", "file", "", "a:b"),
        ("file:///data/two%20words.npy", "file", "", "/data/two words.npy"),
        ("file://localhost/data/x.npy", "file", "", "/data/x.npy"),
        ("file:/data/x.npy", "file", "", "/data/x.npy"),
        ("file:///100%25.csv", "file", "", "/100%.csv"),
        ("file:///a%3Fb%23c", "file", "", "/a?b#c"),
        ("FILE:///x", "file", "", "/x"),
        ("s3://wines/train/part-0.npy", "s3", "wines", "train/part-0.npy"),
        ("S3://wines/x", "s3", "wines", "x"),
        ("s3://wines", "s3", "wines", ""),
        ("s3://wines/", "s3", "wines", ""),
        ("s3://wines/a b/ü?#%25.csv", "s3", "wines", "a b/ü?#%25.csv"),
    ],
)
def test_an_address_is_read_into_its_parts(text: str, scheme: str, bucket: str, key: str) -> None:
    address = Address.parse(text)
    assert (address.scheme, address.bucket, address.key) == (scheme, bucket, key)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["http://host/x", "https://host/x", "gs://b/k", "az://c/k", "abfs://c/k", "s3a://b/k"],
)
def test_another_scheme_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(StorageError) as caught:
        Address.parse(text)
    assert caught.value.code == "storage-scheme"
    assert repr(text.partition(":")[0]) in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got nothing"),
        ("a\0b", "NUL"),
        ("file:///a%00b", "NUL"),
        ("file:///a%0", "hexadecimal"),
        ("file:///a%zz", "hexadecimal"),
        ("file://host/a", "the host 'host'"),
        ("file://", "no path"),
        ("file:///a?b", "query"),
        ("file:///a#b", "fragment"),
        ("s3:/bucket/key", "two slashes"),
        ("s3://", "no bucket"),
        ("s3:///key", "no bucket"),
        ("s3://b/key", "bucket"),
        ("s3://a bucket/key", "bucket"),
        ("s3://user@bucket/key", "bucket"),
        ("s3://a..b/key", "bucket"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/x", "bucket"),
        ("s3://wines/a//b", "empty parts"),
        ("s3://wines//b", "empty parts"),
        ("s3://wines/../b", "'..'"),
        ("s3://wines/a\nb", "control"),
        ("s3://wines/\udcff", "UTF-8"),
        ("s3://wines/" + "é" * 513, "1024 bytes, got 1026"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(StorageError) as caught:
        Address.parse(text)
    assert caught.value.code == "storage-address"
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_path_object_is_a_path_whatever_it_spells(tmp_path: Path) -> None:
    assert Address.parse(tmp_path).path == tmp_path
    with pytest.raises(StorageError, match="two slashes"):
        Address.parse(Path("s3://bucket/key"))


def test_an_address_is_parsed_to_itself() -> None:
    address = Address.parse("s3://wines/x")
    assert Address.parse(address) is address


@given(_NAMES)
def test_any_name_of_a_file_comes_back_from_its_text(name: str) -> None:
    address = Address.parse("/data") / name
    assert str(address) == f"/data/{name}"
    assert Address.parse(str(address)) == address
    assert address.name == name
    assert address.shown.isprintable()


@given(_NAMES)
def test_any_name_of_a_file_survives_a_file_url(name: str) -> None:
    path = Path("/data") / name
    assert Address.parse(path.as_uri()).path == path


@given(_KEYS)
def test_any_key_comes_back_from_its_text(key: str) -> None:
    address = Address.parse("s3://wines") / key
    assert address == Address("s3", "wines", key)
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except StorageError as error:
        found = error.code
    else:
        found = "same" if Address.parse(str(address)) == address else "another"
    assert found in ("same", "storage-address", "storage-scheme")


@pytest.mark.parametrize("name", ["", "/x", "..", "a/../b", "a//b", "./a", "a/..", "\0"])
@pytest.mark.parametrize("base", ["/data", "data/", "s3://wines", "s3://wines/train/"])
def test_a_name_that_leads_elsewhere_is_not_joined(base: str, name: str) -> None:
    with pytest.raises(StorageError, match="relative name"):
        Address.parse(base) / name


@pytest.mark.parametrize(
    ("text", "name", "is_prefix"),
    [
        ("/data/x.npy", "x.npy", False),
        ("/data/", "data", True),
        ("/", "", True),
        ("s3://wines", "", True),
        ("s3://wines/a/b.csv", "b.csv", False),
        ("s3://wines/a/", "a", True),
    ],
)
def test_the_spelling_tells_a_name_and_a_directory(text: str, name: str, is_prefix: bool) -> None:
    address = Address.parse(text)
    assert (address.name, address.is_prefix) == (name, is_prefix)


def test_an_object_of_s3_has_no_path() -> None:
    with pytest.raises(StorageError) as caught:
        _ = Address.parse("s3://wines/x").path
    assert caught.value.code == "storage-not-local"

"""AWS's own scikit-learn images: which account of which region holds them, under which name."""

from __future__ import annotations

import difflib

from kneighbors.errors import ParameterRefused

#: The image that a packaged artifact is made for: Python 3.12, with numpy and pyarrow.
STOCK_VERSION = "1.9-0"
#: Versions that there are. The first five are of older Pythons, and run only what needs nothing of
#: this package.
VERSIONS = ("0.20.0", "0.23-1", "1.0-1", "1.2-1", "1.4-2", "1.4-2-py312", STOCK_VERSION)

_REPOSITORY = "sagemaker-scikit-learn"
_ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "ca-west-1": "190319476487",
    "cn-north-1": "450853457545",
    "cn-northwest-1": "451049120500",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "il-central-1": "898809789911",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-gov-east-1": "237065988967",
    "us-gov-west-1": "414596584902",
    "us-iso-east-1": "833128469047",
    "us-isob-east-1": "281123927165",
    "us-isof-east-1": "108575199400",
    "us-isof-south-1": "124985052026",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
#: Regions outside the usual partition have registries under other domains.
_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}


def image_uri(region: str, version: str = STOCK_VERSION) -> str:
    """Return the address of AWS's scikit-learn image in a region.

    Parameters
    ----------
    region : str
        Such as ``"eu-west-1"``.
    version : str, default="1.9-0"
        One of `VERSIONS`.

    Raises
    ------
    ParameterRefused
        With code ``region-unknown`` or ``image-version-unknown``.

    Examples
    --------
    >>> image_uri("us-east-1")
    '683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3'
    """
    account = _ACCOUNTS.get(region)
    if account is None:
        near = difflib.get_close_matches(region, _ACCOUNTS, n=1)
        raise ParameterRefused(
            "region-unknown",
            f"Expected a region with a scikit-learn image, one of {', '.join(_ACCOUNTS)}; "
            f"got {region!r}.",
            hint=f"Did you mean {near[0]!r}?" if near else "Name the image itself (--image).",
        )
    if version not in VERSIONS:
        raise ParameterRefused(
            "image-version-unknown", f"Expected one of {', '.join(VERSIONS)}, got {version!r}."
        )
    domains = (domain for start, domain in _DOMAINS.items() if region.startswith(start))
    domain = next(domains, "amazonaws.com")
    return f"{account}.dkr.ecr.{region}.{domain}/{_REPOSITORY}:{version}-cpu-py3"

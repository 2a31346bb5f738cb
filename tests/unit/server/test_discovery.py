from __future__ import annotations

from pressplay.api import kinds
from pressplay.server import discovery


def test_every_kind_is_found_by_following_the_documents() -> None:
    known = discovery.documents()
    versions = [f"/api/{version}" for version in known["/api"]["versions"]]
    versions += [f"/apis/{g['preferredVersion']['groupVersion']}" for g in known["/apis"]["groups"]]
    found = {
        (known[path]["groupVersion"], resource["kind"], resource["name"])
        for path in versions
        for resource in known[path]["resources"]
    }
    for kind in kinds.KINDS:
        assert (kind.api_version, kind.name, kind.plural) in found
        status = (kind.api_version, kind.name, f"{kind.plural}/status")
        assert (status in found) is kind.has_status
    assert ("v1", "Pod", "pods/log") in found


def test_openapi_says_of_every_kind_that_fields_are_validated() -> None:
    known = discovery.documents()
    index = known["/openapi/v3"]["paths"]
    for kind in kinds.KINDS:
        root = kind.path().removesuffix(f"/{kind.plural}").removeprefix("/")
        url = index[root]["serverRelativeURL"].partition("?")[0]
        operation = known[url]["paths"][kind.path("{namespace}", "{name}")]["patch"]
        assert operation["x-kubernetes-group-version-kind"]["kind"] == kind.name
        assert [each["name"] for each in operation["parameters"]] == ["fieldValidation"]

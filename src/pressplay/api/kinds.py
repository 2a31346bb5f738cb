"""The kinds that either runtime's API serves, and how each is addressed."""

from __future__ import annotations

from dataclasses import dataclass

from pressplay.base.errors import Refused


@dataclass(frozen=True)
class Kind:
    """One kind: its group and version, the word in its path, whether a namespace holds it."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or just the version for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """The REST path of the collection, or of one object.

        Source: Kubernetes' "API Concepts" page, "Resource URIs".
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


KINDS: tuple[Kind, ...] = (
    Kind("Namespace", "", "v1", "namespaces", namespaced=False, short_names=("ns",)),
    Kind("ConfigMap", "", "v1", "configmaps", short_names=("cm",), has_status=False),
    Kind("Secret", "", "v1", "secrets", has_status=False),
    Kind("ServiceAccount", "", "v1", "serviceaccounts", short_names=("sa",), has_status=False),
    Kind("Service", "", "v1", "services", short_names=("svc",)),
    Kind("Pod", "", "v1", "pods", short_names=("po",)),
    Kind("ResourceQuota", "", "v1", "resourcequotas", short_names=("quota",)),
    Kind("LimitRange", "", "v1", "limitranges", short_names=("limits",), has_status=False),
    Kind("Deployment", "apps", "v1", "deployments", short_names=("deploy",)),
    Kind("Ingress", "networking.k8s.io", "v1", "ingresses", short_names=("ing",)),
    Kind(
        "NetworkPolicy",
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        short_names=("netpol",),
        has_status=False,
    ),
    Kind("Role", "rbac.authorization.k8s.io", "v1", "roles", has_status=False),
    Kind("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings", has_status=False),
    Kind(
        "ClusterRole",
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        namespaced=False,
        has_status=False,
    ),
    Kind(
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        namespaced=False,
        has_status=False,
    ),
    Kind(
        "CustomResourceDefinition",
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        namespaced=False,
        short_names=("crd", "crds"),
    ),
    Kind("Workflow", "argoproj.io", "v1alpha1", "workflows", short_names=("wf",), has_status=False),
    Kind(
        "WorkflowTemplate",
        "argoproj.io",
        "v1alpha1",
        "workflowtemplates",
        short_names=("wftmpl",),
        has_status=False,
    ),
    Kind("CodeRun", "taskmaster.io", "v1", "coderuns", short_names=("cr",)),
    Kind("DocsRun", "taskmaster.io", "v1", "docsruns", short_names=("dr",)),
)

_BY_NAME = {kind.name: kind for kind in KINDS}
_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}


def by_name(name: str) -> Kind:
    """The kind called `name`. Raises Refused for one that is not served."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise Refused(f"Kind {name!r} is not served here; known: {', '.join(_BY_NAME)}") from None


def by_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind at a REST path, or None."""
    return _BY_PATH.get((group, version, plural))

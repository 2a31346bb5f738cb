"""One workflow asked of two runtimes: a cluster's Argo, and the embedded engine."""

"""The two expression dialects of Argo (expr-lang and govaluate), and nothing around them."""

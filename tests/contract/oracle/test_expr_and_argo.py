"""expr-lang as Argo sets it up: with sprig, toJson, asInt, asFloat and jsonpath.

A grammar makes expressions: a sign in braces stands for an expression of that kind, N a number, I a
whole one, T a text, B a truth value, L an array, M a map, A anything, P a closure's body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.contract.oracle.conftest import Oracle, Question, Told

from pressplay.engine.expressions import expr, library

_VARIABLES: Mapping[str, Any] = {
    "v": {
        "n": None, "s": "abc", "e": "", "u": "é→x", "i": 3.0, "f": -2.5, "y": True, "d": "12",
        "l": [1.0, 2.0, 3.0], "w": ["b", "a", "", "b"], "m": {"a": 1.0, "b": "x", "c": None},
        "o": [{"a": 1.0, "b": "x"}, {"a": 0.0, "b": "y"}, {"a": 1.0}],
        "j": '{"a": [1, {"b": "c"}], "t": "x"}',
    },
    "t": "true",
    "inputs": {"parameters": {"n": "12", "json": "[1, 2, \"x\"]", "text": "a b-c"}},
}  # fmt: skip
_GRAMMAR: Mapping[str, str] = {
    "N": """
        {I} ; {I} ; 1.5 ; -0.5 ; 0.1 ; 1e3 ; .25 ; v.f ; v.i ; {N} + {N} ; {N} - {N} ; {N} * {N}
        {N} / {N} ; {N} ** {N} ; {N} ^ 2 ; -{N} ; +{N} ; ({N}) ; abs({N}) ; ceil({N}) ; floor({N})
        round({N}) ; max({N}, {N}) ; min({N}, {N}, {N}) ; max({L}) ; sum({L}) ; mean({L})
        median({L}, {N}) ; float({N}) ; float({T}) ; {B} ? {N} : {N} ; {L}[{I}] ; first({L})
        last({L}) ; {M}.a ; {A} ?? {N} ; reduce({L}, #acc + #) ; reduce({L}, #acc + #, {N})
        sum({L}, # * {N}) ; find({L}, {P}) ; get({L}, {I}) ; asFloat({T})
        let x = {N}; x + {N} ; if {B} {{ {N} }} else {{ {N} }} ; sprig.float64({A})
        sprig.round({N}, {I}) ; sprig.floor({A}) ; sprig.ceil({A}) ; sprig.maxf({N}, {N})
        sprig.addf({N}, {N}) ; sprig.divf({N}, 2) ; {N} | abs() ; {L} | first()
    """,
    "I": """
        0 ; 1 ; 2 ; 3 ; -1 ; 7 ; 0x1F ; 0b11 ; 1_000 ; 100000 ; 9223372036854775807 ; {I} + {I}
        {I} - {I} ; {I} * {I} ; {I} % {I} ; len({T}) ; len({L}) ; len({M}) ; int({N}) ; int({T})
        asInt({T}) ; asInt({N}) ; count({L}, {P}) ; count({L}) ; findIndex({L}, {P})
        len(sprig.values({M}))
        indexOf({T}, {T}) ; lastIndexOf({T}, {T}) ; bitand({I}, {I})
        bitor({I}, {I}) ; bitxor({I}, {I}) ; bitnot({I}) ; bitshl({I}, {I}) ; bitshr({I}, {I})
        bitushr({I}, {I}) ; bitnand({I}, {I}) ; -{I} ; ({I}) ; sprig.int({A}) ; sprig.int64({A})
        sprig.add({A}, {N}) ; sprig.sub({N}, {N}) ; sprig.mul({N}, {N}) ; sprig.div({N}, {I})
        sprig.mod({N}, {I}) ; sprig.max({N}, {N}) ; sprig.min({N}, {A}) ; sprig.add1({A})
        sprig.atoi({T}) ; v.l[{I}] ; sprig.biggest({N}, {N})
    """,
    "T": """
        'abc' ; 'a,b' ; '' ; 'A b' ; "é→x" ; '12' ; '-3.5' ; '[1, {{"a": 2}}]' ; `raw\\n` ; "a\\tb"
        v.s ; v.e ; v.u ; v.d ; t ; inputs.parameters.text ; inputs.parameters['n'] ; {T} + {T}
        ({T}) ; {B} ? {T} : {T} ; upper({T}) ; lower({T}) ; trim({T}) ; trim({T}, {T})
        trimPrefix({T}, {T}) ; trimSuffix({T}, {T}) ; replace({T}, {T}, {T}) ; repeat({T}, 2)
        join({W}) ; join({W}, {T}) ; string({A}) ; type({A}) ; toJSON({A}) ; toJson({A})
        toBase64({T}) ; fromBase64(toBase64({T})) ; {T}[{I}:{I}] ; {T}[:{I}] ; {T}[{I}:]
        {M}.b ; v.m?.b ; v.n?.x.y ?? {T} ; {A} ?? {T} ; split({T}, {T})[0] ; {W}[0]
        let s = {T}; s + s ; {T} | upper() ; {T} | split(',') | join('-') ; sprig.trim({T})
        sprig.upper({T}) ; sprig.lower({T}) ; sprig.title({T}) ; sprig.untitle({T})
        sprig.trimAll({T}, {T}) ; sprig.trimPrefix({T}, {T}) ; sprig.trimSuffix({T}, {T})
        sprig.replace({T}, {T}, {T}) ; sprig.trunc({I}, {T}) ; sprig.abbrev({I}, {T})
        sprig.substr({I}, {I}, {T}) ; sprig.quote({A}) ; sprig.squote({A}) ; sprig.cat({A}, {A})
        sprig.nospace({T}) ; sprig.initials({T}) ; sprig.swapcase({T}) ; sprig.indent(2, {T})
        sprig.nindent(2, {T}) ; sprig.plural({T}, {T}, {I}) ; sprig.repeat(2, {T})
        sprig.join({T}, {A}) ; sprig.toString({A}) ; sprig.toJson({A}) ; sprig.toPrettyJson({A})
        sprig.toRawJson({A}) ; sprig.b64enc({T}) ; sprig.b64dec({T}) ; sprig.b32enc({T})
        sprig.sha256sum({T}) ; sprig.sha1sum({T}) ; sprig.adler32sum({T}) ; sprig.base({T})
        sprig.dir({T}) ; sprig.clean({T}) ; sprig.ext({T}) ; sprig.default({T}, {A})
        sprig.ternary({T}, {T}, {B}) ; sprig.kindOf({A}) ; sprig.regexFind({R}, {T})
        sprig.regexReplaceAll({R}, {T}, {T}) ; sprig.regexReplaceAllLiteral({R}, {T}, {T})
        sprig.regexQuoteMeta({T}) ; sprig.seq(1, 7) ; sprig.duration({T}) ; sprig.get({M}, {T})
        sprig.dig({T}, {T}, {M}) ; sprig.coalesce({A}, {T}) ; sprig.toDecimal({T})
        sprig.first({W}) ; sprig.last({W}) ; sprig.trimall({T}, {T}) ; sprig.sha512sum({T})
    """,
    "B": """
        true ; false ; v.y ; {N} == {N} ; {N} != {N} ; {N} < {N} ; {N} <= {N} ; {N} > {N}
        {N} >= {N} ; {N} < {N} < {N} ; {T} == {T} ; {T} < {T} ; {T} != {T} ; {A} == {A} ; !{B}
        {A} != {A} ; not {B} ; {B} and {B} ; {B} && {B} ; {B} or {B} ; {B} || {B} ; ({B})
        {A} in {L} ; {T} in {M} ; {N} in {I}..{I} ; {A} not in {L} ; {T} contains {T}
        {T} startsWith {T} ; {T} endsWith {T} ; {T} not contains {T} ; {T} matches {R}
        not ({T} matches {R}) ; all({L}, {P}) ; any({L}, {P}) ; none({L}, {P}) ; one({L}, {P})
        all({W}, # != {T}) ; any({O}, .a > {N}) ; hasPrefix({T}, {T}) ; hasSuffix({T}, {T})
        {B} ? {B} : {B} ; {A} ?? {B} ; t == 'true' ; inputs.parameters.n == '12'
        sprig.contains({T}, {T}) ; sprig.hasPrefix({T}, {T}) ; sprig.hasSuffix({T}, {T})
        sprig.has({A}, {L}) ; sprig.hasKey({M}, {T}) ; sprig.empty({A}) ; sprig.deepEqual({A}, {A})
        sprig.regexMatch({R}, {T}) ; sprig.all({A}, {A}) ; sprig.any({A}, {A}) ; sprig.isAbs({T})
        sprig.kindIs({T}, {A})
    """,
    "L": """
        [] ; [1, 2, 3] ; [{A}, {A}] ; [{N}, {N}] ; v.l ; {W} ; {O} ; {I}..{I} ; 1..3 ; ({L})
        map({L}, {A}) ; map({L}, #) ; map({L}, # + 1) ; filter({L}, {P}) ; {L}[{I}:{I}] ; {L}[1:]
        reverse({L}) ; uniq({L}) ; sort({L}) ; sort({L}, 'desc') ; sortBy({L}, #) ; flatten({L})
        concat({L}, {L}) ; take({L}, {I}) ; sort(keys({M})) ; {A} ?? {L}
        {B} ? {L} : {L} ; {L} | map(#) ; {L} | filter({P}) ; map(1..3, #index + #)
        fromJSON('[1, null, "x"]') ; sprig.list({A}, {A}) ; sprig.first({L}) ; sprig.rest({L})
        sprig.initial({L}) ; sprig.append({L}, {A}) ; sprig.prepend({L}, {A})
        sprig.concat({L}, {L})
        sprig.reverse({L}) ; sprig.uniq({L}) ; sprig.without({L}, {A}) ; sprig.compact({L})
        sprig.slice({L}, {I}) ; sprig.slice({L}, {I}, {I}) ; sprig.chunk({I}, {L})
        sprig.until(3) ; sprig.untilStep(0, 6, {I}) ; sprig.pluck({T}, {M}, {M})
        map({O}, .a) ; map({O}, {{c: .b}}) ; filter({O}, .a == 1) ; sortBy({O}, .a)
        sortBy({O}, .a, 'desc') ; sprig.tuple({A}) ; sprig.mustUniq({L})
        map({L}, sprig.toString(#)) ; map({W}, len(#)) ; jsonpath(v.j, '$.a') ; {L} | reverse()
    """,
    "W": """
        v.w ; ['a', 'b'] ; split({T}, {T}) ; split({T}, {T}, {I}) ; splitAfter({T}, {T})
        sort(keys({M}))
        map({W}, upper(#)) ; filter({W}, # contains {T}) ; sort({W}) ; uniq({W}) ; reverse({W})
        [{T}, {T}] ; map({L}, string(#)) ; sprig.splitList({T}, {T}) ; sprig.sortAlpha({A})
        sprig.toStrings({A}) ; sprig.regexFindAll({R}, {T}, {I}) ; sprig.regexSplit({R}, {T}, {I})
        sprig.keys({M}) | sort()
    """,
    "O": """
        v.o ; [{{a: 1}}] ; [{{a: {N}, b: {T}}}, {{a: {N}}}] ; filter({O}, {P}) ; {O}[{I}:] ; [{M}]
    """,
    "M": """
        v.m ; {{}} ; {{a: {A}}} ; {{"a": {N}, b: {T}}} ; {{(v.s): {A}}} ; v.o[0] ; {O}[0] ; ({M})
        groupBy({L}, #) ; groupBy({O}, .a) ; fromPairs(toPairs({M})) ; fromJSON('{{"a": 1.0}}')
        sprig.dict('a', {A}, {T}, {A}) ; sprig.set({M}, {T}, {A}) ; sprig.unset({M}, {T})
        sprig.merge({{a: 1}}, {M}) ; sprig.mergeOverwrite({{a: 1}}, {M}) ; sprig.pick({M}, {T})
        sprig.omit({M}, {T}) ; sprig.split({T}, {T}) ; sprig.splitn({T}, {I}, {T})
        sprig.fromJson(v.j) ; sprig.fromJson({T}) ; sprig.deepCopy({M}) ; {A} ?? {M}
        {B} ? {M} : {M} ; let m = {M}; m
    """,
    "A": """
        {N} ; {I} ; {T} ; {T} ; {B} ; {L} ; {M} ; nil ; v.n ; v.m.zz ; # ; $env.t
        jsonpath(v.j, '$.t') ; jsonpath({T}, '$.a') ; date('2024-02-29')
        duration('90m') ; {A}[{I}] ; {A}[{T}]
        {A}.a ; {A} | type()
        date('2024-01-31').AddDate(0, 1, 0).Format('2006-01-02 Mon') ; duration({T}).Seconds()
        date({T}) ; duration({T}) ; fromJSON({T}) ; {A}?.b ; {A}; {A}
    """,
    "P": """
        # > {N} ; # == {A} ; {B} ; # in {L} ; # != nil ; .a == 1 ; .a > {N} ; true
        # contains {T} ; # matches {R} ; {P} and {P} ; not ({P}) ; len(#) > 1 ; #.b == {T}
    """,
    "R": r"""
        'a' ; '^a.c$' ; 'b|x' ; '[a-c]+' ; '(a)(b)?' ; '\\d+' ; '' ; {T} ; '(?i)ABC' ; '\\bb'
    """,
}  # fmt: skip
_CHOICES = {
    kind: [each.strip() for each in re.split(r" ; |\n", text) if each.strip()]
    for kind, text in _GRAMMAR.items()
}
_SLOT = re.compile(r"\{([A-Z])\}|\{\{|\}\}")


# Where we differ knowingly, by what a disagreement says; docs/decisions tell why.
_APART = {
    "expr checks kinds before it runs": (
        r"GO REFUSES \(parse\): (invalid operation|cannot (use|get|.* for)|predicate should"
        r"|invalid argument|operator|non-bool|builtin .* takes|mismatched"
        r"|type .* (is undefined|has no field))"
    ),
    "Go's kinds of numbers, maps and lists": (
        r"GO REFUSES \(run\): (reflect: |interface conversion|assignment to entry in nil map)"
    ),
    "not a number, as a whole one": r"\*\*|\^|sprig.round",
    "a byte as another number": r"kindOf|kindIs|-[^,]*\[",
    "an array that was never made": (
        r"WE REFUSE: .*(n array|be array|len takes .*|cannot slice),?( not)? nil"
    ),
    "a text as an array of bytes": r"WE REFUSE: .*takes an array, not string",
    "what is no array, sorted": r"sort\(",
    "an error message as a value": r"WE REFUSE: .*illegal base64 data",
    "bytes that are no text": r"b64dec|fromBase64|\ufffd",
    "a text cut inside of a letter": r"trunc|substr|abbrev|\[[^\]]*:",
    "an empty text split by an empty pattern": r"regexSplit",
    "and, or: the right side goes unchecked": r"WE REFUSE: .*must be true or false, not",
    "times and durations as maps or numbers": r"WE REFUSE: .* ?\(?time\.",
    "what the optimizer folds away": r"(and|&&) \(?false|(or|\|\|) \(?true",
    "sprig changes maps in place": r"sprig\.(set|unset|merge|mergeOverwrite)\(.*v\.",
    "a chunk of less than nothing": r"WE REFUSE: .*chunk: the size",
    "a name that is declared twice": r"WE REFUSE: .*cannot redeclare",
    "what no machine can finish": r"GO REFUSES \(run\): Go died of it",
    "numbers only": r"WE REFUSE: .*takes numbers, not",
    "bounds of work": r"WE REFUSE: .*needs more than|GO REFUSES.*memory budget",
}
# What sprig has and we refuse by name.
_NOT_OURS = """
abbrevboth ago bcrypt buildCustomCert camelcase decryptAES derivePassword durationRound encryptAES
genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert
genSignedCertWithKey getHostByName hello htmlDateInZone htpasswd kebabcase osBase osClean osDir
osExt osIsAbs randAscii randBytes semver semverCompare shuffle snakecase typeIs typeIsLike typeOf
urlJoin urlParse wrap wrapWith
"""


@st.composite
def _expression(draw: st.DrawFn, kind: str, depth: int) -> str:
    choices = _CHOICES[kind]
    if depth <= 0:
        choices = [each for each in choices if "{" not in each.replace("{{", "")] or ["nil"]
    template = draw(st.sampled_from(choices))

    def filled(slot: re.Match[str]) -> str:
        if slot[1] is None:
            return slot[0][0]
        return draw(_expression(slot[1], depth - 1))

    return _SLOT.sub(filled, template)


def _questions(kinds: str, depth: int) -> st.SearchStrategy[Question]:
    made = st.sampled_from(kinds).flatmap(lambda kind: _expression(kind, depth))
    return made.map(lambda text: Question("expr", text, _VARIABLES))


def _ours(question: Question) -> object:
    return expr.evaluate(question.expression, question.input)


@pytest.mark.parametrize(("kinds", "depth"), [("NI", 2), ("TB", 2), ("LWMA", 2), ("NTBLMA", 4)])
def test_an_expression_yields_what_it_yields_in_argo(
    oracle: Oracle, told: Told, kinds: str, depth: int
) -> None:
    told(oracle.compare(_questions(kinds, depth), _ours, examples=1200, apart=_APART))


def test_every_function_of_sprig_is_here_or_refused_by_name(oracle: Oracle) -> None:
    names = oracle.ask(Question("expr", "keys(sprig)")).value
    assert isinstance(names, list)
    assert sorted(set(names) - library.SPRIG.keys()) == _NOT_OURS.split()
    assert not library.SPRIG.keys() - set(names)

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
	"github.com/valyala/fasttemplate"
)

// late are the variables that only a later pass knows: an expression that names one waits for it.
var late = []string{
	"item", "retries",
	"lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message",
	"workflow.status", "workflow.failures",
}

// unescape undoes what encoding/json does to the signs of HTML.
var unescape = strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">")

// fillTags does one pass over a text as the controller does: the text is JSON while it is filled
// in. The input is the flat scope: texts by dotted name.
func fillTags(asked request) (any, error) {
	scope := map[string]string{}
	if err := json.Unmarshal(asked.Input, &scope); err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(asked.Expression)
	if err != nil {
		return nil, err
	}
	filler := tagFiller{scope, environment(nested(scope)), asked.Strict}
	template, err := fasttemplate.NewTemplate(string(quoted), "{{", "}}")
	if err != nil {
		return nil, parsing(err)
	}
	var filled strings.Builder
	if _, err := template.ExecuteFunc(&filled, filler.fill); err != nil {
		return nil, err
	}
	var text string
	if err := json.Unmarshal([]byte(filled.String()), &text); err != nil {
		return nil, fmt.Errorf("the result is no JSON: %w", err)
	}
	return text, nil
}

type tagFiller struct {
	scope  map[string]string
	env    map[string]any
	strict bool
}

func (f tagFiller) fill(w io.Writer, tag string) (int, error) {
	if expression, ok := strings.CutPrefix(tag, "="); ok {
		return f.expression(w, unescape.Replace(expression))
	}
	if value, ok := f.scope[strings.TrimSpace(tag)]; ok {
		return io.WriteString(w, inner(value))
	}
	// A stray pair of braces in front of the tag: what stands behind the last one counts.
	if at := strings.LastIndex(tag, "{{"); at > 0 {
		if value, ok := f.scope[tag[at+2:]]; ok {
			return io.WriteString(w, "{{"+tag[:at]+inner(value))
		}
	}
	if f.strict {
		return 0, fmt.Errorf("failed to resolve {{%s}}", tag)
	}
	return io.WriteString(w, "{{"+tag+"}}")
}

func (f tagFiller) expression(w io.Writer, escaped string) (int, error) {
	var source string
	if err := json.Unmarshal([]byte(`"`+escaped+`"`), &source); err != nil {
		return 0, parsing(err)
	}
	missing, err := f.missing(source)
	if err != nil {
		return 0, parsing(err)
	}
	if len(missing) > 0 && f.strict {
		return 0, fmt.Errorf("%s is missing", missing[0])
	}
	// Who does not insist gets the tag back, whatever goes wrong when the expression is worked out.
	lenient := len(missing) > 0 || !f.strict
	if lenient && f.waits(source) {
		return io.WriteString(w, "{{="+escaped+"}}")
	}
	value, err := f.evaluate(source)
	if err != nil {
		if lenient {
			return io.WriteString(w, "{{="+escaped+"}}")
		}
		return 0, err
	}
	made, err := json.Marshal(value)
	if err != nil && lenient {
		return io.WriteString(w, "{{="+escaped+"}}")
	}
	if err != nil {
		return 0, err
	}
	text := string(made)
	if len(text) > 1 && text[0] == '"' {
		return io.WriteString(w, text[1:len(text)-1])
	}
	return io.WriteString(w, inner(text))
}

// evaluate takes nil for an error: a tag that yields nothing cannot be filled in.
func (f tagFiller) evaluate(source string) (any, error) {
	program, err := expr.Compile(source, expr.Env(f.env))
	if err != nil {
		return nil, err
	}
	value, err := expr.Run(program, f.env)
	if err == nil && value == nil {
		err = errors.New("the value is nil")
	}
	return value, err
}

// missing are the variables of an expression, and the paths into them, that the scope lacks.
func (f tagFiller) missing(source string) ([]string, error) {
	tree, err := parser.Parse(source)
	if err != nil {
		return nil, err
	}
	found := &names{}
	ast.Walk(&tree.Node, found)
	var made []string
	for _, path := range *found {
		if !has(f.env, path) {
			made = append(made, strings.Join(path, "."))
		}
	}
	return made, nil
}

// waits says whether the tokens of a late variable that is not there yet stand in the source.
func (f tagFiller) waits(source string) bool {
	tokens, err := tokensOf(source)
	if err != nil {
		return false
	}
	for _, name := range late {
		wanted, err := tokensOf(name)
		if err == nil && strings.Contains(source, name) && !has(f.env, strings.Split(name, ".")) &&
			strings.Contains("\n"+tokens, "\n"+wanted) {
			return true
		}
	}
	return false
}

// tokensOf has one token a line, so that a row of tokens can be found as a text.
func tokensOf(source string) (string, error) {
	tokens, err := lexer.Lex(file.NewSource(source))
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, token := range tokens {
		if token.Kind != lexer.EOF {
			lines.WriteString(strconv.Quote(token.String()) + "\n")
		}
	}
	return lines.String(), nil
}

type names [][]string

func (n *names) Visit(node *ast.Node) {
	switch typed := (*node).(type) {
	case *ast.IdentifierNode:
		*n = append(*n, []string{typed.Value})
	case *ast.MemberNode:
		if path, ok := memberPath(typed); ok {
			*n = append(*n, path)
		}
	}
}

func memberPath(node *ast.MemberNode) ([]string, bool) {
	key, ok := node.Property.(*ast.StringNode)
	if !ok {
		return nil, false
	}
	switch base := node.Node.(type) {
	case *ast.IdentifierNode:
		return []string{base.Value, key.Value}, true
	case *ast.MemberNode:
		path, ok := memberPath(base)
		return append(path, key.Value), ok
	}
	return nil, false
}

func has(env map[string]any, path []string) bool {
	var current any = env
	for _, part := range path {
		inside, ok := current.(map[string]any)
		if !ok {
			return false
		}
		if current, ok = inside[part]; !ok {
			return false
		}
	}
	return true
}

// nested turns dotted names into maps in maps; of two names that conflict the longer one stays.
func nested(scope map[string]string) map[string]any {
	keys := make([]string, 0, len(scope))
	for name := range scope {
		keys = append(keys, name)
	}
	sort.Strings(keys)
	made := map[string]any{}
	for _, name := range keys {
		parts := strings.Split(name, ".")
		at := made
		for _, part := range parts[:len(parts)-1] {
			below, ok := at[part].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[part] = below
			}
			at = below
		}
		if last := parts[len(parts)-1]; at[last] == nil {
			at[last] = scope[name]
		} else if _, isMap := at[last].(map[string]any); !isMap {
			at[last] = scope[name]
		}
	}
	return made
}

// inner is a text as Go writes it in quotes, without the quotes.
func inner(text string) string {
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

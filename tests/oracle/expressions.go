package main

import (
	"encoding/json"

	"github.com/Knetic/govaluate"
	"github.com/Masterminds/sprig/v3"
	"github.com/evilmonkeyinc/jsonpath"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/builtin"
)

// What reads the controller's environment is taken away, as Argo does.
var sprigFunctions = func() map[string]any {
	functions := sprig.GenericFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	return functions
}()

// environment is what an expression sees: the variables, and Argo's functions.
func environment(variables map[string]any) map[string]any {
	made := make(map[string]any, len(variables)+5)
	for name, value := range variables {
		made[name] = value
	}
	made["asInt"] = builtin.Int
	made["asFloat"] = builtin.Float
	made["toJson"] = toJSON
	made["jsonpath"] = queryJSONPath
	made["sprig"] = sprigFunctions
	return made
}

func toJSON(value any) string {
	made, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(made)
}

func queryJSONPath(document, path string) any {
	var value any
	if err := json.Unmarshal([]byte(document), &value); err != nil {
		panic(err)
	}
	found, err := jsonpath.Query(path, value)
	if err != nil {
		panic(err)
	}
	return found
}

func evaluateExpr(asked request) (any, error) {
	variables, err := object(asked)
	if err != nil {
		return nil, err
	}
	seen := environment(variables)
	program, err := expr.Compile(asked.Expression, expr.Env(seen))
	if err != nil {
		return nil, parsing(err)
	}
	return expr.Run(program, seen)
}

// evaluateWhen is govaluate with bare words as strings: there are no variables in a `when`.
func evaluateWhen(asked request) (any, error) {
	read, err := govaluate.NewEvaluableExpression(asked.Expression)
	if err != nil {
		return nil, parsing(err)
	}
	tokens := read.Tokens()
	for index := range tokens {
		if tokens[index].Kind == govaluate.VARIABLE {
			tokens[index].Kind = govaluate.STRING
		}
	}
	again, err := govaluate.NewEvaluableExpressionFromTokens(tokens)
	if err != nil {
		return nil, parsing(err)
	}
	return again.Evaluate(nil)
}

// Oracle answers what the libraries that Argo Workflows uses make of an expression.
//
// It reads one JSON request a line and writes one JSON answer a line, in the same order:
//
//	{"dialect": "expr", "expression": "a + 1", "input": {"a": 2}}
//	{"value": {"float": "3"}}
//
// An answer has a value (see encode) or an error; "stage" says whether the text was refused before
// it ran ("parse") or while it ran ("run").
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// A request is a question in one of the dialects; which of the other fields count is its matter.
type request struct {
	Dialect    string          `json:"dialect"`
	Expression string          `json:"expression"`
	Input      json.RawMessage `json:"input,omitempty"`
	// Strict is for tags: one that cannot be filled in is an error.
	Strict bool `json:"strict,omitempty"`
	// Zone, After and Count are for cron: an IANA name, an instant (RFC 3339), how many times.
	Zone  string `json:"zone,omitempty"`
	After string `json:"after,omitempty"`
	Count int    `json:"count,omitempty"`
}

type answer struct {
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
	Stage string `json:"stage,omitempty"`
}

// A refusal is an error with the stage at which it came.
type refusal struct {
	stage string
	cause error
}

func (r *refusal) Error() string { return r.cause.Error() }

func parsing(err error) error { return &refusal{"parse", err} }

var dialects = map[string]func(request) (any, error){
	"expr":      evaluateExpr,
	"tags":      fillTags,
	"govaluate": evaluateWhen,
	"condition": matchCondition,
	"jsonpath":  printJSONPath,
	"gjson":     findGJSON,
	"gojq":      runGojq,
	"cron":      nextTimes,
	"regexp":    findMatches,
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func serve(from io.Reader, to io.Writer) error {
	out := bufio.NewWriter(to)
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		made, err := json.Marshal(respond(line))
		if err != nil {
			return err
		}
		if _, err := out.Write(append(made, '\n')); err != nil {
			return err
		}
		// Whoever asks one question waits for its answer; whoever asks many need not.
		if lines.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// Some functions of sprig run until the memory is full; whoever asked is told by the end of the
// program.
const patience = 5 * time.Second

func respond(line []byte) (made answer) {
	impatience := time.AfterFunc(patience, func() { os.Exit(3) })
	defer impatience.Stop()
	defer func() {
		if cause := recover(); cause != nil {
			made = answer{Error: fmt.Sprintf("panic: %v", cause), Stage: "run"}
		}
	}()
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: "bad request: " + err.Error(), Stage: "request"}
	}
	dialect, known := dialects[asked.Dialect]
	if !known {
		return answer{Error: "unknown dialect " + asked.Dialect, Stage: "request"}
	}
	value, err := dialect(asked)
	if err != nil {
		stage := "run"
		if refused, ok := err.(*refusal); ok {
			stage = refused.stage
		}
		return answer{Error: err.Error(), Stage: stage}
	}
	return answer{Value: encode(value)}
}

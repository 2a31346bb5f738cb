package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/itchyny/gojq"
	"github.com/robfig/cron/v3"
	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/jsonpath"
)

// A document is looked at through labels, as the conditions of resource templates do it.
type document []byte

func (d document) Has(label string) bool   { return gjson.GetBytes(d, label).Exists() }
func (d document) Get(label string) string { return gjson.GetBytes(d, label).String() }
func (d document) Lookup(label string) (string, bool) {
	return d.Get(label), d.Has(label)
}

// matchCondition answers whether all requirements of the condition hold, and whether any does.
func matchCondition(asked request) (any, error) {
	selector, err := labels.Parse(asked.Expression)
	if err != nil {
		return nil, parsing(err)
	}
	requirements, _ := selector.Requirements()
	all, some := true, false
	for _, each := range requirements {
		holds := each.Matches(document(asked.Input))
		all, some = all && holds, some || holds
	}
	return []bool{all, some}, nil
}

// printJSONPath is `kubectl get -o jsonpath=…`: what is missing prints nothing.
func printJSONPath(asked request) (any, error) {
	path := jsonpath.New("out").AllowMissingKeys(true)
	if err := path.Parse(asked.Expression); err != nil {
		return nil, parsing(err)
	}
	value, err := unstructured(asked.Input)
	if err != nil {
		return nil, err
	}
	var printed bytes.Buffer
	if err := path.Execute(&printed, value); err != nil {
		return nil, err
	}
	return printed.String(), nil
}

// unstructured reads JSON as Kubernetes does: a whole number is an int64.
func unstructured(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return numbers(value), err
}

func numbers(value any) any {
	switch typed := value.(type) {
	case json.Number:
		if whole, err := typed.Int64(); err == nil {
			return whole
		}
		number, _ := typed.Float64()
		return number
	case []any:
		for index := range typed {
			typed[index] = numbers(typed[index])
		}
	case map[string]any:
		for key := range typed {
			typed[key] = numbers(typed[key])
		}
	}
	return value
}

// findGJSON answers with nil for a path that leads nowhere, else with the value as a text and as
// JSON.
func findGJSON(asked request) (any, error) {
	found := gjson.GetBytes(asked.Input, asked.Expression)
	if !found.Exists() {
		return nil, nil
	}
	return []string{found.String(), found.Raw}, nil
}

// runGojq answers with the texts that a jqFilter prints, one for each value.
func runGojq(asked request) (any, error) {
	query, err := gojq.Parse(asked.Expression)
	if err != nil {
		return nil, parsing(err)
	}
	var input any
	if err := json.Unmarshal(asked.Input, &input); err != nil {
		return nil, err
	}
	printed := []string{}
	values := query.Run(input)
	for {
		value, more := values.Next()
		if !more {
			return printed, nil
		}
		if err, failed := value.(error); failed {
			return nil, err
		}
		text, isText := value.(string)
		if !isText {
			made, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			text = string(made)
		}
		printed = append(printed, text)
	}
}

// nextTimes answers with the next times at which a CronWorkflow would start.
func nextTimes(asked request) (any, error) {
	text := asked.Expression
	if asked.Zone != "" {
		text = "CRON_TZ=" + asked.Zone + " " + text
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return nil, parsing(err)
	}
	moment, err := time.Parse(time.RFC3339, asked.After)
	if err != nil {
		return nil, err
	}
	times := []string{}
	for len(times) < asked.Count {
		// Beyond five years without a match the library gives up and answers with the zero time.
		if moment = schedule.Next(moment); moment.IsZero() {
			break
		}
		times = append(times, moment.UTC().Format(time.RFC3339))
	}
	return times, nil
}

// findMatches answers with the places of all matches and of their groups, in characters.
func findMatches(asked request) (any, error) {
	pattern, err := regexp.Compile(asked.Expression)
	if err != nil {
		return nil, parsing(err)
	}
	var text string
	if err := json.Unmarshal(asked.Input, &text); err != nil {
		return nil, err
	}
	found := pattern.FindAllStringSubmatchIndex(text, -1)
	for _, places := range found {
		for index, place := range places {
			if place >= 0 {
				places[index] = len([]rune(strings.ToValidUTF8(text[:place], "\uFFFD")))
			}
		}
	}
	return found, nil
}

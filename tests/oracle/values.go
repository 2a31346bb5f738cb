package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"time"
)

// encode turns a Go value into JSON that keeps its kind. nil, booleans and strings are themselves;
// all else is an object with one key: int, float, list, map (pairs in the order of their keys),
// time (as encoding/json writes it), duration (in nanoseconds), none (a nil that has a type, here
// the Go type), other (the Go type).
func encode(value any) any {
	switch typed := value.(type) {
	case nil:
		return nil
	case time.Time:
		return map[string]any{"time": typed.Format(time.RFC3339Nano)}
	case time.Duration:
		return map[string]any{"duration": strconv.FormatInt(int64(typed), 10)}
	case fmt.Stringer:
		return map[string]any{"other": fmt.Sprintf("%T", value)}
	}
	return encodeKind(reflect.ValueOf(value))
}

func encodeKind(value reflect.Value) any {
	switch {
	case value.Kind() == reflect.Bool:
		return value.Bool()
	case value.Kind() == reflect.String:
		return value.String()
	case value.CanInt():
		return map[string]any{"int": strconv.FormatInt(value.Int(), 10)}
	case value.CanUint():
		return map[string]any{"int": strconv.FormatUint(value.Uint(), 10)}
	case value.CanFloat():
		return map[string]any{"float": strconv.FormatFloat(value.Float(), 'g', -1, 64)}
	case isNil(value):
		return map[string]any{"none": value.Type().String()}
	case value.Kind() == reflect.Slice || value.Kind() == reflect.Array:
		items := make([]any, value.Len())
		for index := range items {
			items[index] = encode(value.Index(index).Interface())
		}
		return map[string]any{"list": items}
	case value.Kind() == reflect.Map:
		return map[string]any{"map": pairs(value)}
	}
	return map[string]any{"other": value.Type().String()}
}

// isNil says whether this is a nil with a type, such as a slice that was never made.
func isNil(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Func, reflect.Interface:
		return value.IsNil()
	}
	return false
}

func pairs(value reflect.Value) [][2]any {
	made := [][2]any{}
	keys := value.MapKeys()
	sort.Slice(keys, func(one, other int) bool {
		return fmt.Sprint(keys[one]) < fmt.Sprint(keys[other])
	})
	for _, key := range keys {
		made = append(made, [2]any{encode(key.Interface()), encode(value.MapIndex(key).Interface())})
	}
	return made
}

// object reads the input as encoding/json does: every number is a float64.
func object(asked request) (map[string]any, error) {
	made := map[string]any{}
	if len(asked.Input) == 0 {
		return made, nil
	}
	return made, json.Unmarshal(asked.Input, &made)
}

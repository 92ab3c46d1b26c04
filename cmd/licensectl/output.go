package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/metrum-ai/licensing-portal/license"
)

// output is where a command answers: for people line by line, or with -json as one object on standard output.
type output struct {
	stdout, stderr io.Writer
	json           bool
	answered       bool // the object is written: there is only one
}

// line writes a line for people.
func (o *output) line(format string, args ...any) {
	if !o.json {
		fmt.Fprintf(o.stdout, format+"\n", args...)
	}
}

// field writes a named value for people, in a column of its own. The value may be anything that was signed.
func (o *output) field(name, value string) {
	o.line("%-11s %s", name+":", printable(value))
}

// object writes the answer for programs.
func (o *output) object(value any) error {
	if !o.json {
		return nil
	}
	o.answered = true
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = o.stdout.Write(append(data, '\n'))
	return err
}

// fail tells programs of a failure, in the shape of a router's, and returns it.
func (o *output) fail(err error) error {
	if err == nil || o.answered || errors.Is(err, flag.ErrHelp) {
		return err
	}
	var failure struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	failure.Error.Code, failure.Error.Message = codeOf(err), err.Error()
	return errors.Join(err, o.object(failure))
}

// codeOf is the code of a failure for programs: the license's own, or what kind of failure it was.
func codeOf(err error) string {
	var refusal *license.Error
	var unwanted *worseError
	switch {
	case errors.As(err, new(usageError)):
		return "usage"
	case errors.As(err, new(remoteError)):
		return "remote"
	case errors.As(err, &unwanted):
		return "worse"
	case errors.As(err, &refusal):
		return string(refusal.Code)
	}
	return "failed"
}

// printable keeps a signed but odd text from steering a terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

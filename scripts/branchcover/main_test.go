package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample takes some of its branches: each line that it does not take, or takes one way, says so.
const sample = `package sample

import "strings"

func Sign(n int) string {
	if n < 0 { // both
		return "-"
	}
	if n == 7 && n > 3 { // n > 3 is never false
		return "seven"
	}
	for i := 0; i < n; i++ { // both
		n--
	}
	if n == 7 && n > 3 { // never true, and so the second never at all
		return "again"
	}
	switch {
	case n == 100, !(n != 5): // never true, and n != 5 never false
		return "hundred"
	}
	return ""
}

func Kind(text string) int {
	switch text {
	case "a":
		return 1
	case "b", "c": // c is never true
		return 2
	}
	switch strings.ToUpper(text) {
	case "D":
		return 3
	default:
		return 0
	}
}

func never(list []string) (f func()) {
	for range list {
		return func() {}
	}
	return nil
}
`

const sampleTest = `package sample

import "testing"

func TestSample(t *testing.T) {
	for n, want := range map[int]string{-1: "-", 7: "seven", 2: ""} {
		if Sign(n) != want {
			t.Error(n)
		}
	}
	for text, want := range map[string]int{"a": 1, "b": 2, "d": 3, "e": 0} {
		if Kind(text) != want {
			t.Error(text)
		}
	}
}
`

var sampleRows = []string{
	"| `sample.go` Sign | `n > 3` never false |",
	"| `sample.go` Sign (2) | `n == 7` never true |",
	"| `sample.go` Sign (2) | `n > 3` never false |",
	"| `sample.go` Sign (2) | `n > 3` never true |",
	"| `sample.go` Sign | `n == 100` never true |",
	"| `sample.go` Sign | `n != 5` never false |",
	"| `sample.go` Kind | `text == \"c\"` never true |",
	"| `sample.go` never | `func` never reached |",
	"| `sample.go` never | `for range list` never reached |",
	"| `sample.go` never | `func literal` never reached |",
}

// measureSample runs the command over the sample with a list of these rows.
func measureSample(t *testing.T, rows ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	list := "# A list\n\n| where | what | why |\n|---|---|---|\n" + strings.Join(rows, " reasons \\| more |\n") + " reasons |\n"
	for name, text := range map[string]string{"go.mod": "module example.org/sample\n\ngo 1.24\n", "sample.go": sample,
		"sample_test.go": sampleTest, "LIST.md": list} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	err := run([]string{"-dir", dir, "-known", filepath.Join(dir, "LIST.md"), "."}, &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return stdout.String(), err
}

func TestBranchesThatAreListedPass(t *testing.T) {
	t.Parallel()
	out, err := measureSample(t, sampleRows...)
	if err != nil || !strings.Contains(out, "10 branches not taken") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEveryBranchThatIsNotListedFails(t *testing.T) {
	t.Parallel()
	out, err := measureSample(t)
	if err == nil {
		t.Error("nothing is listed, and nothing is wrong")
	}
	for _, row := range sampleRows {
		if strings.Count(out, row) != 1 {
			t.Errorf("%s is not told once in\n%s", row, out)
		}
	}
	if n := strings.Count(out, "not taken and not listed"); n != len(sampleRows) {
		t.Errorf("%d branches are told, want %d:\n%s", n, len(sampleRows), out)
	}
}

func TestRowThatIsNoLongerTrueFails(t *testing.T) {
	t.Parallel()
	const stale = "| `sample.go` Sign | `n < 0` never true |"
	out, err := measureSample(t, append([]string{stale}, sampleRows...)...)
	if err == nil || !strings.Contains(out, "listed, but taken or gone: "+stale) || strings.Contains(out, "not listed") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRowOfABranchThatIsSeldomTakenPassesEitherWay(t *testing.T) {
	t.Parallel()
	rows := slices.Clone(sampleRows)
	rows[0] = strings.Replace(rows[0], "never", "seldom", 1)
	if out, err := measureSample(t, append(rows, "| `sample.go` Sign | `n < 0` seldom true |")...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSourceThatCannotBeMeasuredIsToldAndNotPassedOver(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"switch x.(type) {}", "switch y := 1; y + 1 { case 2: }"} {
		in := &instrumenter{counter: "example.org/count"}
		if _, err := in.file("a.go", []byte("package a; func f(x any) { "+body+" }")); err == nil || !strings.Contains(err.Error(), "not measured") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

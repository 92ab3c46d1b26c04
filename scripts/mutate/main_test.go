package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `package sample

func Most(a, b int) int {
	if a < b {
		a = b
	}
	return a
}

func Named(name string, ok bool) bool {
	switch name {
	case "maybe":
		return ok || !false
	}
	return false
}
`

const sampleTest = `package sample

import "testing"

func TestSample(t *testing.T) {
	if Most(1, 2) != 2 || Named("no", true) {
		t.Error("not the most")
	}
}

func TestSlow(t *testing.T) {
	if Most(3, 2) != 3 {
		t.Error("not the most")
	}
}
`

func writeSample(t *testing.T, tests string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/sample\n\ngo 1.24\n", "sample.go": sample,
		"sample_test.go": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestChangesThatNoTestNoticesAreTold(t *testing.T) {
	t.Parallel()
	dir := writeSample(t, sampleTest)
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-dir", dir, "-slow", "Slow", "sample.go"}, &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	want := []string{
		"sample.go:4 Most: a < b with <=",
		`sample.go:12 Named: without case "maybe"`,
		"sample.go:13 Named: without return ok || !false",
		"sample.go:13 Named: ok || !false with &&",
		"sample.go:13 Named: !false without !",
		"sample.go:13 Named: false is true",
	}
	if got := lines[:len(lines)-1]; !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if last := lines[len(lines)-1]; last != "11 mutants: 5 noticed, 6 not; 2 more do not compile" {
		t.Errorf("%s", last)
	}
}

func TestTestsThatFailAnywayNoticeNothing(t *testing.T) {
	t.Parallel()
	dir := writeSample(t, strings.Replace(sampleTest, "!= 3", "!= 4", 1))
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-dir", dir, "sample.go"}, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), "fail without any change") {
		t.Errorf("%v", err)
	}
}

// A change that keeps a loop from ending is noticed by that.
func TestMutantThatNeverEndsIsNoticed(t *testing.T) {
	t.Parallel()
	dir := writeSample(t, sampleTest)
	l := &laboratory{dir: dir, scratch: t.TempDir(), slow: "^$", limit: 2 * time.Second}
	endless := strings.Replace(sample, "return a\n", "for a > 0 {\n}\nreturn a\n", 1)
	if got := l.try(t.Context(), filepath.Join(dir, "sample.go"), []byte(endless)); got != noticed {
		t.Errorf("%s", got)
	}
	if got := l.try(t.Context(), filepath.Join(dir, "sample.go"), []byte("package sample\n\nx")); got != broken {
		t.Errorf("%s", got)
	}
}

// All mutants of functions are in one text; a function that gives back nothing ends after its mutant.
func TestMutantsAreWovenIntoOneText(t *testing.T) {
	t.Parallel()
	const source = "package sample\n\nvar most = 7\n\nfunc add(a *int) {\n\t*a++ // one\n}\n"
	mutants, err := mutantsOf("sample.go", []byte(source))
	if err != nil || len(mutants) != 3 {
		t.Fatalf("%d mutants, %v", len(mutants), err)
	}
	const want = "package sample\n\nvar most = 7\n\nfunc add(a *int) {\nif activeMutant == 3 {\n//line mutant3:1\nfunc() {\n\t // one\n\n}(); return\n}\n" +
		"//line woven:1\n\n\t*a++ // one\n}\n"
	if got := string(weave([]byte(source), mutants, nil)); got != want {
		t.Errorf("woven as\n%s\nwant\n%s", got, want)
	}
	if got := string(weave([]byte(source), mutants, map[int]bool{3: true})); got != source {
		t.Errorf("woven without the mutant as\n%s", got)
	}
	if got := failures("x/mutant3:1:2: no\n./mutant12:7:1: no\nwoven:3:1: no\n"); !slices.Equal(got, []int{3, 12}) {
		t.Errorf("failures %v", got)
	}
}

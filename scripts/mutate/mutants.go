package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
)

// mutant is one change to a file.
type mutant struct {
	from, to int // offsets of what is replaced
	text     string
	function string
	line     int
	what     string
	within   *body // nil outside of functions
}

// body is what stands between a function's braces.
type body struct {
	from, to int    // offsets
	results  string // the function's, as they are written
}

func (m mutant) apply(source []byte) []byte {
	return slices.Concat(source[:m.from], []byte(m.text), source[m.to:])
}

// turned are the operators that stand in for one another.
var turned = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD},
	token.SHL: {token.SHR}, token.SHR: {token.SHL},
	token.AND: {token.OR}, token.OR: {token.AND},
}

// mutantsOf returns every change to a file, in the order of its lines.
func mutantsOf(name string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{files: files, source: source}
	for _, declaration := range tree.Decls {
		f.function, f.body = "-", nil
		if function, ok := declaration.(*ast.FuncDecl); ok {
			f.function, f.body = function.Name.Name, f.bodyOf(function)
		}
		ast.Inspect(declaration, f.visit)
	}
	return f.found, nil
}

type finder struct {
	files    *token.FileSet
	source   []byte
	function string
	body     *body
	found    []mutant
}

func (f *finder) bodyOf(function *ast.FuncDecl) *body {
	if function.Body == nil {
		return nil
	}
	b := &body{from: f.offset(function.Body.Lbrace) + 1, to: f.offset(function.Body.Rbrace)}
	if function.Type.Results != nil {
		b.results = f.text(function.Type.Results)
	}
	return b
}

func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.IfStmt:
		f.hold(n.Cond)
	case *ast.BinaryExpr:
		for _, operator := range turned[n.Op] {
			f.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), operator.String(), f.text(n)+" with "+operator.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.add(n.Pos(), n.Pos()+1, "", f.text(n)+" without !")
		}
	case *ast.CaseClause:
		if n.List != nil {
			f.add(n.Pos(), n.End(), "", "without case "+f.text(n.List[0]))
		}
	case *ast.BasicLit:
		f.number(n)
	case *ast.Ident:
		if flipped := map[string]string{"true": "false", "false": "true"}[n.Name]; flipped != "" {
			f.add(n.Pos(), n.End(), flipped, n.Name+" is "+flipped)
		}
	case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt, *ast.ReturnStmt, *ast.DeferStmt:
		f.remove(n)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			f.remove(n)
		}
	}
	return true
}

// hold makes a condition always true, and always false; it is still looked at, so that its names are used.
func (f *finder) hold(condition ast.Expr) {
	text := f.text(condition)
	f.add(condition.Pos(), condition.End(), "(true || ("+text+"))", "if "+text+" always")
	f.add(condition.Pos(), condition.End(), "(false && ("+text+"))", "if "+text+" never")
}

func (f *finder) number(n *ast.BasicLit) {
	value, err := strconv.ParseInt(n.Value, 0, 64)
	if n.Kind != token.INT || err != nil {
		return
	}
	for _, other := range []int64{value + 1, value - 1} {
		f.add(n.Pos(), n.End(), strconv.FormatInt(other, 10), fmt.Sprintf("%s is %d", n.Value, other))
	}
}

func (f *finder) remove(statement ast.Node) {
	f.add(statement.Pos(), statement.End(), "", "without "+f.text(statement))
}

func (f *finder) add(from, to token.Pos, text, what string) {
	m := mutant{from: f.offset(from), to: f.offset(to), text: text, function: f.function, line: f.files.Position(from).Line,
		what: shorten(what)}
	if f.body != nil && f.body.from <= m.from && m.to <= f.body.to {
		m.within = f.body
	}
	f.found = append(f.found, m)
}

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *finder) offset(at token.Pos) int { return f.files.Position(at).Offset }

// shorten is a text on one line, and not a whole function.
func shorten(text string) string {
	const most = 120
	var line []rune
	space := false
	for _, r := range text {
		if r == ' ' || r == '\n' || r == '\t' {
			space = len(line) > 0
			continue
		}
		if space {
			line, space = append(line, ' '), false
		}
		if line = append(line, r); len(line) > most {
			return string(line[:most]) + " …"
		}
	}
	return string(line)
}

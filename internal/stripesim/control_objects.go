package stripesim

import "net/http"

// objectView is an object in full, with what can be done to it.
type objectView struct {
	Object  object       `json:"object"`
	DueAt   int64        `json:"due_at,omitempty"` // when the clock changes it by itself, Unix seconds
	Actions []actionView `json:"actions"`
}

type actionView struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Hint  string `json:"hint"`
}

func (x *tx) objectView(r *record) objectView {
	v := objectView{Object: r.shown(), DueAt: dueAt(r), Actions: []actionView{}}
	for _, a := range actions() {
		if a.kind == r.Body.str("object") && a.when(r.Body) {
			v.Actions = append(v.Actions, actionView{a.name, a.label, a.hint})
		}
	}
	return v
}

// controlObjects is GET /_sim/objects?kind=: the newest objects of a kind.
func controlObjects(x *tx, r *http.Request, _ nothing) (any, error) {
	kind := r.URL.Query().Get("kind")
	t := x.st.objects[kind]
	if t == nil {
		return nil, invalid("unknown_kind", "kind", "kind must be the object member of one of Stripe's objects, such as charge.")
	}
	out := []objectView{}
	for i := len(t.ids) - 1; i >= 0 && len(out) < maxShown; i-- {
		out = append(out, x.objectView(t.get(t.ids[i])))
	}
	return object{"objects": out}, nil
}

// controlObject is GET /_sim/objects/{id}.
func controlObject(x *tx, r *http.Request, _ nothing) (any, error) {
	kind := x.kindOf(r.PathValue("id"))
	if kind == "" {
		return nil, missing(http.StatusNotFound, "object", r.PathValue("id"), "id")
	}
	return x.objectView(x.find(kind, r.PathValue("id"))), nil
}

// controlAct is POST /_sim/objects/{id}/{action}: it answers the object that
// came of it, or the one that was changed.
func controlAct(x *tx, r *http.Request, in actionIn) (any, error) {
	made, err := x.act(r.PathValue("id"), r.PathValue("action"), in)
	if err != nil {
		return nil, err
	}
	return x.objectView(made), nil
}

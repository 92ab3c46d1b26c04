package stripesim

import (
	"net/http"
	"time"
)

// Server is a stand-in. Make one with [New].
type Server struct {
	cfg     Config
	st      *store
	pages   *pages
	handler http.Handler
	wake    chan struct{}
}

// New opens the state in cfg.Dir and registers cfg.Endpoints. It fails when
// the configuration is incomplete, or the state is in use or does not read.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Rand = &lockedReader{r: cfg.Rand}
	st, err := openStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, st: st, pages: p, wake: make(chan struct{}, 1)}
	err = s.update(cause{}, func(x *tx) error { return x.registerEndpoints(cfg.Endpoints) })
	if err != nil {
		_ = st.close() // the first error counts
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", s.apiHandler())
	mux.Handle("/_sim/", s.controlHandler())
	mux.Handle("/", s.pageHandler())
	s.handler = mux
	return s, nil
}

// Handler serves the API, the pages and the control API.
func (s *Server) Handler() http.Handler { return s.handler }

// Close closes the state. Stop serving and end Run first.
func (s *Server) Close() error { return s.st.close() }

// Now is the stand-in's clock: Config.Clock plus what was advanced.
func (s *Server) Now() time.Time {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	advanced := time.Duration(0)
	if row := s.st.settings.get("settings"); row != nil {
		advanced = row.Advanced
	}
	return s.cfg.Clock().Add(advanced)
}

package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/metrum-ai/licensing-portal/license/enforce"
)

// The one model counts four bytes as a token, and answers with as many as it was asked.
const bytesPerToken = 4

func tokens(bytes int) int64 { return int64(bytes+bytesPerToken-1) / bytesPerToken }

type usage struct {
	PromptTokens     int64 `json:"prompt_tokens"`
	CompletionTokens int64 `json:"completion_tokens"`
	TotalTokens      int64 `json:"total_tokens"`
}

// reserve is the most tokens that a request may use: its body, and an answer as long.
func reserve(r *http.Request) int64 {
	length := r.ContentLength
	if length < 0 || length > maxBody {
		length = maxBody
	}
	return 2 * tokens(int(length))
}

// settle charges what the model used, in place of what was reserved.
func settle(r *http.Request, prompt, completion string) usage {
	u := usage{PromptTokens: tokens(len(prompt)), CompletionTokens: tokens(len(completion))}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	enforce.Settle(r.Context(), u.TotalTokens)
	return u
}

// echo answers a JSON body with itself, where a router would ask a model.
func echo(w http.ResponseWriter, r *http.Request) {
	body, ok := readJSON(w, r)
	if !ok {
		return
	}
	writeJSON(w, http.StatusOK, struct {
		ID     string          `json:"id"`
		Object string          `json:"object"`
		Model  string          `json:"model"`
		Echo   json.RawMessage `json:"echo"`
		Usage  usage           `json:"usage"`
	}{requestID(r), "echo", modelName, body, settle(r, string(body), string(body))})
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// chat answers the last message with itself, in OpenAI's chat dialect.
func chat(w http.ResponseWriter, r *http.Request) {
	body, ok := readJSON(w, r)
	if !ok {
		return
	}
	var request struct {
		Messages []message `json:"messages"`
	}
	if err := json.Unmarshal(body, &request); err != nil || len(request.Messages) == 0 {
		enforce.Settle(r.Context(), 0)
		writeError(w, r, http.StatusBadRequest, "messages-missing", "the body must hold messages, each with role and content")
		return
	}
	said := request.Messages[len(request.Messages)-1].Content
	type choice struct {
		Index        int     `json:"index"`
		Message      message `json:"message"`
		FinishReason string  `json:"finish_reason"`
	}
	writeJSON(w, http.StatusOK, struct {
		ID      string   `json:"id"`
		Object  string   `json:"object"`
		Model   string   `json:"model"`
		Choices []choice `json:"choices"`
		Usage   usage    `json:"usage"`
	}{requestID(r), "chat.completion", modelName, []choice{{0, message{"assistant", said}, "stop"}}, settle(r, string(body), said)})
}

// readJSON reads the body, or answers why it cannot be used. What never reached the model costs no tokens.
func readJSON(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeError(w, r, http.StatusRequestEntityTooLarge, "body-too-large", "the body may have at most 1 MiB")
	case err != nil:
		writeError(w, r, http.StatusBadRequest, "body-unreadable", "the body ended too early")
	case !json.Valid(body):
		writeError(w, r, http.StatusBadRequest, "body-not-json", "the body must be JSON")
	default:
		return body, true
	}
	enforce.Settle(r.Context(), 0)
	return nil, false
}

// usageCSV answers with the counters as a table, for licenses with the feature usage_csv_export.
func usageCSV(manager *enforce.Manager) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := manager.Counters()
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		table := csv.NewWriter(w)
		_ = table.WriteAll([][]string{ // a caller that went away is no error of ours
			{"counter", "used"},
			{"requests", strconv.FormatInt(c.RequestsUsed, 10)},
			{"tokens", strconv.FormatInt(c.TokensUsed, 10)},
			{"requests_this_month", strconv.FormatInt(c.MonthRequestsUsed, 10)},
		})
	})
}

package imds

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"time"
)

const (
	tokenHeader    = "X-aws-ec2-metadata-token"
	tokenTTLHeader = "X-aws-ec2-metadata-token-ttl-seconds"

	// maxTTL is six hours, EC2's longest.
	maxTTL = 21600
)

// tokens issues the session tokens of version 2 of the protocol. A token contains the time at
// which it expires, so none has to be kept.
type tokens struct{ secret []byte }

func newTokens() *tokens {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // it never fails
	return &tokens{secret}
}

func (t *tokens) issue(response http.ResponseWriter, request *http.Request, now time.Time) {
	if request.Method != http.MethodPut {
		http.Error(response, "", http.StatusMethodNotAllowed)
		return
	}
	if request.Header.Get("X-Forwarded-For") != "" {
		http.Error(response, "", http.StatusForbidden)
		return
	}
	seconds, err := strconv.Atoi(request.Header.Get(tokenTTLHeader))
	if err != nil || seconds < 1 || seconds > maxTTL {
		http.Error(response, "", http.StatusBadRequest)
		return
	}
	response.Header().Set("Content-Type", "text/plain")
	response.Header().Set(tokenTTLHeader, strconv.Itoa(seconds))
	_, _ = response.Write([]byte(t.sign(now.Add(time.Duration(seconds) * time.Second))))
}

func (t *tokens) sign(expires time.Time) string {
	payload := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return base64.URLEncoding.EncodeToString(append(payload, t.digest(payload)...))
}

func (t *tokens) valid(token string, now time.Time) bool {
	decoded, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(decoded) != 8+sha256.Size {
		return false
	}
	payload, digest := decoded[:8], decoded[8:]
	expires := time.Unix(int64(binary.BigEndian.Uint64(payload)), 0)
	return hmac.Equal(digest, t.digest(payload)) && now.Before(expires)
}

func (t *tokens) digest(payload []byte) []byte {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write(payload)
	return mac.Sum(nil)
}

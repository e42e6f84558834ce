package server

import (
	"context"
	"fmt"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/store"
)

// GetHealth is the operation get_health: the process answers.
func (*Server) GetHealth(context.Context, serverapi.GetHealthRequestObject) (serverapi.GetHealthResponseObject, error) {
	return serverapi.GetHealth200JSONResponse{HealthyJSONResponse: healthy()}, nil
}

// GetReadiness is the operation get_readiness: the database answers, and nobody has asked the process to stop.
func (s *Server) GetReadiness(ctx context.Context, _ serverapi.GetReadinessRequestObject) (serverapi.GetReadinessResponseObject, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	if err := s.config.Store.Ping(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return serverapi.GetReadiness200JSONResponse{HealthyJSONResponse: healthy()}, nil
}

func healthy() serverapi.HealthyJSONResponse {
	return serverapi.HealthyJSONResponse{Body: serverapi.Health{Status: serverapi.HealthStatusOk}}
}

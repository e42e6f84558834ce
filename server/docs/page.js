'use strict';

// The document names SignalWire and the default address. Calls from this page go to the server that has sent it. Examples of
// parameters would be filled in, and fit no project that exists.
fetch('/openapi.json')
  .then((answer) => answer.json())
  .then((spec) => {
    spec.servers = [{ url: window.location.origin, description: 'This server.' }];
    for (const parameter of Object.values(spec.components.parameters)) {
      delete parameter.example;
    }
    window.SwaggerUIBundle({
      spec,
      dom_id: '#api',
      deepLinking: true,
      docExpansion: 'list',
      defaultModelsExpandDepth: 0,
      displayOperationId: true,
      validatorUrl: null,
    });
  })
  .catch((error) => {
    document.getElementById('api').textContent = 'The contract could not be loaded: ' + error;
  });

"""The envelopes in which signals come. Adding one is adding a module with `recognises` and `opened` here (see
`shared.signals.message.Form`); the registry finds it."""

"""For each rule of the policy pack what passes it and what does not, by concern."""

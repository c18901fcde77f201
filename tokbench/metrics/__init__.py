"""Pure functions and mergeable states; knows neither files nor the engine."""

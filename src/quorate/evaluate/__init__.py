"""How estimators are judged, and estimators side by side."""

"""Charts of the trading report as HTML fragments; the page must load plotly.js."""

"""The pictures of the trading report, as HTML fragments that expect plotly.js on the page."""

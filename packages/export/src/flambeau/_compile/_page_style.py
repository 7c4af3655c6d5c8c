"""Style sheet of the page about a compiled function."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1c2126; --soft: #59626c; --line: #e3e0d8; --code: #f4f2ec;
  --fused: #0f766e; --product: #4f46b8; --other: #a8530f; --view: #7a828b; --accent: #0f766e;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2024; --ink: #e8e6e1; --soft: #a3acb5; --line: #31373d; --code: #22272c;
    --fused: #3fbfae; --product: #9d97f5; --other: #e79a55; --view: #8e979f; --accent: #3fbfae;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; padding: 0 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
}
main, header { max-width: 68rem; margin: 0 auto; }
header { padding: 2.2rem 0 .4rem; }
h1 { margin: 0; font: 600 1.7rem/1.2 var(--mono); overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .3rem; font-size: 1.22rem; line-height: 1.3; }
h3 { margin: 3rem 0 0; padding-top: 1.4rem; border-top: 2px solid var(--ink); font-size: 1.05rem; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
.soft { color: var(--soft); }
code, pre, .mono { font-family: var(--mono); font-size: .86em; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.1rem 0 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.facts dt { color: var(--soft); font-size: .82rem; }
.facts dd { margin: .1rem 0 0; font-size: 1.35rem; font-weight: 600; line-height: 1.25; }
.facts small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400; }

.share { display: flex; height: 1.5rem; margin: .7rem 0 .5rem; border-radius: 6px; overflow: hidden; gap: 1px; }
.share i { display: block; min-width: 1px; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; margin: 0; padding: 0; list-style: none; font-size: .86rem; }
.key b { font-weight: 600; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 3px; margin-right: .4em; }
.fused { background: var(--fused); } .product { background: var(--product); }
.other { background: var(--other); } .view { background: var(--view); }

.flow { list-style: none; margin: .8rem 0 0; padding: 0; }
.flow > li {
  display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 7fr); gap: .3rem 1.2rem;
  padding: .8rem 0; border-top: 1px solid var(--line);
}
.source { font-size: .86rem; }
.source pre {
  margin: 0; padding: .35rem .6rem; background: var(--code); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4;
}
.source p { margin: 0 0 .25rem; color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
.source pre + p { margin-top: .5rem; }
.kernel { background: var(--card); border: 1px solid var(--line); border-left: 4px solid; border-radius: 8px; }
.kernel + .kernel { margin-top: .45rem; }
.kernel.fused { border-left-color: var(--fused); background: var(--card); }
.kernel.product { border-left-color: var(--product); background: var(--card); }
.kernel.other { border-left-color: var(--other); background: var(--card); }
.kernel.view { border-left-color: var(--view); background: var(--card); }
.kernel summary { padding: .5rem .7rem; cursor: pointer; list-style: none; }
.kernel summary::-webkit-details-marker { display: none; }
.title { display: flex; gap: .3rem .6rem; align-items: baseline; }
.title .names { flex: 1; font: 600 .92rem/1.4 var(--mono); overflow-wrap: anywhere; }
.title .names span { white-space: nowrap; }
.title .names small { color: var(--soft); font: 400 .78rem var(--mono); margin-left: .5em; }
.title .time { font-variant-numeric: tabular-nums; font-weight: 600; white-space: nowrap; }
.title::before { content: "▸"; color: var(--soft); width: .8em; }
details[open] > summary .title::before { content: "▾"; }
.bar { display: block; height: 5px; margin: .35rem 0 .3rem 1.4em; border-radius: 3px; overflow: hidden; }
.bar { background: var(--line); }
.bar i { display: block; height: 100%; min-width: 2px; border-radius: 3px; }
.facts-line { display: block; margin: 0 0 0 1.4em; color: var(--soft); font-size: .82rem; }
.inside { padding: 0 .7rem .6rem; border-top: 1px solid var(--line); font-size: .86rem; }
.why { margin: .5rem 0 0; padding-left: 1.1rem; } .why li { margin: .15rem 0; }

.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 0; font-size: .86rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } tbody th { color: inherit; font-weight: 400; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: .8rem 0 0; } figure svg { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .84rem; margin-top: .4rem; max-width: 46rem; }
svg .block { stroke: var(--paper); stroke-width: 1; } svg .block:hover { opacity: .75; }
svg .block.fused { fill: var(--fused); } svg .block.product { fill: var(--product); }
svg .block.other { fill: var(--other); } svg .block.view { fill: var(--view); }
svg text { fill: var(--soft); font: 11px system-ui, "DejaVu Sans", sans-serif; } svg .rule { stroke: var(--line); }
svg text.on { fill: #fff; font-family: var(--mono); }
@media (prefers-color-scheme: dark) { svg text.on { fill: #10141a; } }
.text > summary { cursor: pointer; margin: .6rem 0; font-weight: 600; }
.text pre { margin: 0; padding: .8rem; background: var(--code); border-radius: 8px; overflow-x: auto; }
.notice { padding: .7rem .9rem; border: 1px solid var(--other); border-radius: 8px; background: var(--card); }
footer { max-width: 68rem; margin: 3rem auto 0; color: var(--soft); font-size: .84rem; }
@media (max-width: 44rem) {
  .flow > li { grid-template-columns: minmax(0, 1fr); }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); } .facts dd { font-size: 1.15rem; }
  h1 { font-size: 1.35rem; } figure svg { min-width: 46rem; }
}
@media (prefers-reduced-motion: no-preference) { .bar i { transition: width .2s; } }
@media print { details > .inside { display: block; } body { background: #fff; } }
"""

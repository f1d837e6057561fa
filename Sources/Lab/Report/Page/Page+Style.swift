// SPDX-License-Identifier: Apache-2.0

extension Page {
    /// Blue and orange keep their difference for every kind of colour vision; what they mean is written beside them too.
    static let style = """
        :root{--paper:#fff;--ink:#1b1f24;--soft:#57606a;--rule:#d8dee4;--own:#0067b1;--other:#868e96;--limit:#c75000;--wash:#f3f6f9}
        @media(prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e6e9ec;--soft:#a3adb8;--rule:#333b44;--own:#5db4f5;\
        --other:#8d97a1;--limit:#ff9d45;--wash:#1c2229}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"DejaVu Sans",sans-serif}
        body{-webkit-text-size-adjust:100%}
        main{max-width:1180px;margin:0 auto;padding:24px 16px 48px}
        h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem}
        h2{font-size:1.45rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:2px solid var(--rule)}
        h3{font-size:1.1rem;margin:2rem 0 .25rem}
        p{margin:.25rem 0 1rem;max-width:70ch}
        .lead{font-size:1.15rem}
        em{font-style:normal;font-weight:600}
        dl{margin:1rem 0;display:grid;gap:.25rem}
        dl div{display:flex;flex-wrap:wrap;gap:0 .75rem}
        dt{color:var(--soft);min-width:5rem}
        dd{margin:0;overflow-wrap:anywhere}
        ul{padding-left:1.2rem}
        li{margin:.3rem 0;max-width:80ch}
        .panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:20px 28px}
        figure{margin:0}
        figcaption{font-weight:600;margin-bottom:4px}
        svg{display:block;width:100%;height:auto;overflow:visible}
        svg text{font-size:11.5px;fill:var(--soft)}
        svg .name{font-size:12.5px;fill:var(--ink)}
        svg .halo{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
        .grid{stroke:var(--rule);stroke-width:1}
        .axis{stroke:var(--soft);stroke-width:1.25}
        .line{fill:none;stroke-width:2.25;stroke-linejoin:round}
        .line.own{stroke:var(--own)}
        .line.other{stroke:var(--other)}
        .line.limit{stroke:var(--limit);stroke-width:1.75;stroke-dasharray:5 3}
        .area.own{fill:var(--own);opacity:.18}
        .bar.own{fill:var(--own)}
        .bar.other{fill:var(--other)}
        .dot{opacity:.5}
        .dot.own{fill:var(--own)}
        .dot.limit{fill:var(--limit);opacity:.9}
        .median{stroke:var(--ink);stroke-width:2.5}
        svg .name.own{fill:var(--own)}
        svg .name.other{fill:var(--soft)}
        svg .name.limit{fill:var(--limit)}
        table{width:100%;border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:1rem 0}
        caption{text-align:left;color:var(--soft);padding-bottom:.5rem}
        th,td{text-align:right;padding:6px 8px;border-bottom:1px solid var(--rule);vertical-align:top}
        thead th{font-weight:500;color:var(--soft);vertical-align:bottom}
        tbody th,thead th:first-child{text-align:left;font-weight:600}
        td small{display:block;color:var(--soft);white-space:nowrap}
        footer{margin-top:3rem;color:var(--soft);font-size:.9rem}
        @media(max-width:860px){
        table,tbody,tr,th,td,caption{display:block}
        thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
        tbody tr{background:var(--wash);border-radius:8px;padding:10px 14px;margin-bottom:12px}
        tbody th{border:0;padding:0 0 4px;font-size:1.05rem}
        tbody td{display:flex;justify-content:space-between;gap:12px;padding:3px 0;border:0}
        tbody td::before{content:attr(data-label);color:var(--soft);margin-right:auto}
        tbody td:empty{display:none}
        td small{display:inline}
        }
        """
}

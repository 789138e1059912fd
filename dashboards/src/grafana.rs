//! A dashboard in Grafana's words: the JSON model of Grafana 10 and later (`schemaVersion` 39).
//!
//! Every data source is the variable `$datasource`, so that a file can be imported anywhere. Exemplars are asked for
//! where a panel wants them; which trace store they lead to is said once, at the data source.

use serde_json::{Value, json};

use crate::source::{Common, Dashboard, Kind, Panel, Query, Variable};

/// Columns of the page.
const COLUMNS: u32 = 24;

/// The JSON of one dashboard.
pub fn dashboard(dashboard: &Dashboard, common: &Common) -> Value {
    let variables: Vec<Value> = std::iter::once(data_source()).chain(dashboard.choices(common).map(variable)).collect();
    json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["ringside", "sip"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "browser",
        "links": [{
            "type": "dashboards", "title": "ringside", "tags": ["ringside"], "asDropdown": false,
            "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "", "tooltip": "", "url": "",
        }],
        "annotations": { "list": [] },
        "templating": { "list": variables },
        "panels": panels(dashboard),
    })
}

fn data_source() -> Value {
    json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "",
        "skipUrlSync": false,
    })
}

fn variable(variable: &Variable) -> Value {
    let Variable { name, label, query, choices } = variable;
    match query {
        Some(query) => json!({
            "name": name, "label": label, "type": "query", "datasource": prometheus(),
            "query": { "qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery" },
            "refresh": 2, "sort": 1, "regex": "", "hide": 0, "skipUrlSync": false, "options": [],
            // An empty label matches too: a metric need not have it.
            "includeAll": true, "multi": true, "allValue": ".*",
            "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        }),
        None => json!({
            "name": name, "label": label, "type": "custom", "query": choices.join(","),
            "hide": 0, "skipUrlSync": false, "includeAll": false, "multi": false,
            "current": { "selected": true, "text": choices[0], "value": choices[0] },
            "options": choices.iter().map(|choice| json!({
                "selected": *choice == choices[0], "text": choice, "value": choice,
            })).collect::<Vec<_>>(),
        }),
    }
}

fn prometheus() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// All panels with their places: row after row, each from left to right, wrapped at the right edge.
fn panels(dashboard: &Dashboard) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut top = 0;
    for row in &dashboard.rows {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": top, "w": COLUMNS, "h": 1 },
        }));
        top += 1;
        let (mut left, mut tallest) = (0, 0);
        for panel in &row.panels {
            if left + panel.width > COLUMNS {
                top += tallest;
                (left, tallest) = (0, 0);
            }
            let height = panel.kind.height();
            let mut value = body(panel);
            value["id"] = json!(panels.len() + 1);
            value["title"] = json!(panel.title);
            value["gridPos"] = json!({ "x": left, "y": top, "w": panel.width, "h": height });
            if let Some(variable) = &panel.repeat {
                value["repeat"] = json!(variable);
                value["repeatDirection"] = json!("h");
                value["maxPerRow"] = json!(COLUMNS / panel.width);
            }
            panels.push(value);
            left += panel.width;
            tallest = tallest.max(height);
        }
        top += tallest;
    }
    panels
}

impl Kind {
    const fn height(self) -> u32 {
        match self {
            Self::Stat => 5,
            Self::Bars | Self::Timeseries | Self::Heatmap | Self::Table => 8,
            Self::Text => 10,
        }
    }
}

fn body(panel: &Panel) -> Value {
    let (kind, options) = match panel.kind {
        Kind::Text => {
            return json!({ "type": "text", "options": { "mode": "markdown", "content": panel.text } });
        }
        Kind::Stat => {
            // A series that is named by its labels is a number of what its name says, even if it is the only one.
            let by_label = panel.queries.iter().any(|query| query.legend.contains("{{"));
            let text = if by_label { "value_and_name" } else { "auto" };
            ("stat", number_options(json!({ "graphMode": "area", "textMode": text })))
        }
        Kind::Bars => ("bargauge", number_options(json!({ "displayMode": "basic", "valueMode": "color" }))),
        Kind::Timeseries => (
            "timeseries",
            json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
        ),
        Kind::Heatmap => (
            "heatmap",
            json!({
                "calculate": false,
                "cellGap": 1,
                "color": { "mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "scale": "exponential",
                           "fill": "dark-blue", "reverse": false },
                // A bucket without a call is left blank.
                "filterValues": { "le": 1e-9 },
                "legend": { "show": false },
                "rowsFrame": { "layout": "auto" },
                "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": false },
                "yAxis": { "axisPlacement": "left", "unit": panel.unit, "reverse": false },
            }),
        ),
        Kind::Table => (
            "table",
            json!({
                "showHeader": true, "cellHeight": "sm",
            "sortBy": [{ "displayName": panel.queries[0].legend, "desc": true }],
            }),
        ),
    };
    let mut body = json!({
        "type": kind,
        "description": panel.text.trim(),
        "datasource": prometheus(),
        "targets": targets(panel),
        "options": options,
        "fieldConfig": { "defaults": defaults(panel), "overrides": overrides(panel) },
    });
    if panel.kind == Kind::Table {
        body["transformations"] = transformations(panel);
    }
    body
}

/// `style`, and the last value of each series.
fn number_options(mut style: Value) -> Value {
    style["reduceOptions"] = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    style["orientation"] = json!(if style.get("displayMode").is_some() { "horizontal" } else { "auto" });
    style
}

fn targets(panel: &Panel) -> Vec<Value> {
    let instant = matches!(panel.kind, Kind::Table | Kind::Bars);
    let format = match panel.kind {
        Kind::Table => "table",
        Kind::Heatmap => "heatmap",
        _ => "time_series",
    };
    let target = |(query, name): (&Query, char)| {
        json!({
            "refId": name,
            "datasource": prometheus(),
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": if query.legend.is_empty() { &panel.title } else { &query.legend },
            "format": format,
            "instant": instant,
            "range": !instant,
            // Only buckets have them.
            "exemplar": panel.exemplars && query.expr.contains("_bucket"),
        })
    };
    panel.queries.iter().zip('A'..='Z').map(target).collect()
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults = json!({ "unit": panel.unit });
    if panel.unit == "percent" {
        defaults["decimals"] = json!(1);
    }
    match panel.kind {
        Kind::Timeseries => {
            let mode = if panel.stack { "normal" } else { "none" };
            defaults["min"] = json!(0);
            defaults["custom"] = json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": if panel.stack { 40 } else { 5 },
                "showPoints": "never", "spanNulls": false, "stacking": { "mode": mode, "group": "A" },
            });
        }
        Kind::Heatmap => defaults["custom"] = json!({ "scaleDistribution": { "type": "linear" } }),
        Kind::Bars => {
            defaults["min"] = json!(0);
            // Events, though Prometheus extrapolates their growth to fractions.
            defaults["decimals"] = json!(0);
        }
        Kind::Stat => {
            defaults["thresholds"] = match panel.alarm_above {
                Some(limit) => json!({ "mode": "absolute", "steps": [
                    { "color": "green", "value": null },
                    // A threshold is part of what is above it.
                    { "color": "red", "value": limit + 1e-6 },
                ] }),
                None => json!({ "mode": "absolute", "steps": [{ "color": "blue", "value": null }] }),
            };
        }
        Kind::Table | Kind::Text => {}
    }
    defaults
}

/// Columns of a table by the name they get in [`transformations`].
fn overrides(panel: &Panel) -> Vec<Value> {
    if panel.kind != Kind::Table {
        return Vec::new();
    }
    let column = |query: &Query| {
        json!({
            "matcher": { "id": "byName", "options": query.legend },
            "properties": [{ "id": "unit", "value": query.unit }, { "id": "decimals", "value": 1 }],
        })
    };
    panel.queries.iter().map(column).collect()
}

/// The results side by side, one line per label value.
fn transformations(panel: &Panel) -> Value {
    let names = panel.queries.iter().zip('A'..='Z');
    let renamed: serde_json::Map<String, Value> =
        names.map(|(query, name)| (format!("Value #{name}"), json!(query.legend))).collect();
    json!([
        { "id": "merge", "options": {} },
        { "id": "organize", "options": {
            "excludeByName": { "Time": true }, "indexByName": {}, "renameByName": renamed,
        } },
    ])
}

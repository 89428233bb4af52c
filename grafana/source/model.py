"""Panels, variables and dashboards as short calls, and what Grafana wants to read for them.

In expressions `<vm>` stands for what selects the chosen VMs, `<host>` for the same of qemonds, `<rate>` for the window of a rate. Each
query says how its figure moves with the load of the guest, which the tests hold it to:

    RATE    above 0 while the guest works; 0 or absent while the VM is stopped
    FALLS   the same of what QEMU itself goes on with a little: less than half while the VM is stopped
    GROWS   rises while the guest works, and stands still while the VM is stopped
    STATE   another answer while the VM is stopped
    BUSY    above 0, whatever the guest does: what qemond does
    STEADY  there, whatever the guest does: facts, sizes, limits, and counts of trouble
"""
import dataclasses
import json

RATE, FALLS, GROWS, STATE, BUSY, STEADY = "rate", "falls", "grows", "state", "busy", "steady"

SCHEMA_VERSION = 39
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

@dataclasses.dataclass
class Query:
    expression: str
    legend: str = ""
    moves: str = ""         # Of the panel, unless given.
    format: str = "time_series"
    instant: bool = False

    def json(self, reference, expand):
        return {
            "datasource": SOURCE, "refId": reference, "expr": expand(self.expression), "legendFormat": self.legend or "__auto",
            "format": self.format, "instant": self.instant, "range": not self.instant, "editorMode": "code",
        }


@dataclasses.dataclass
class Panel:
    type: str
    title: str
    unit: str
    description: str
    moves: str
    queries: list
    options: dict
    custom: dict = dataclasses.field(default_factory=dict)
    defaults: dict = dataclasses.field(default_factory=dict)
    overrides: list = dataclasses.field(default_factory=list)
    transformations: list = dataclasses.field(default_factory=list)
    width: int = 8
    height: int = 8

    def __post_init__(self):
        self.queries = [one if isinstance(one, Query) else Query(*one) for one in self.queries]
        for one in self.queries:
            one.moves = one.moves or self.moves

    def json(self, identity, x, y, expand):
        panel = {
            "id": identity, "type": self.type, "title": self.title, "description": " ".join(self.description.split()),
            "datasource": SOURCE, "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": {"unit": self.unit, "custom": self.custom, **self.defaults}, "overrides": self.overrides},
            "options": self.options,
            "targets": [query.json(reference_of(number), expand) for number, query in enumerate(self.queries)],
        }
        if self.transformations:
            panel["transformations"] = self.transformations
        return panel


def reference_of(number):
    return chr(ord("A") + number)


# ---- Kinds of panels

def graph(title, unit, description, *queries, moves=RATE, stack=False, width=8, height=8, maximum=None, legend="table", links=()):
    """Lines over time. Queries are (expression, legend) or a Query."""
    defaults = {"min": 0, "color": {"mode": "palette-classic"}}
    if maximum is not None:
        defaults["max"] = maximum
    if links:
        defaults["links"] = list(links)
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 8, "showPoints": "never", "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
    }
    return Panel("timeseries", title, unit, description, moves, queries, {
        "legend": {"showLegend": True, "displayMode": legend, "placement": "bottom", "calcs": ["mean", "max", "lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }, custom, defaults, width=width, height=height)


def stat(title, unit, description, expression, moves=STEADY, legend="", bad_above=None, bad_below=None, none="", text=False, width=4,
         mappings=()):
    """One figure, now. With `text` it is the label that the legend names."""
    if bad_above is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": bad_above}]
    elif bad_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": bad_below}]
    else:
        steps = [{"color": "blue", "value": None}]
    defaults = {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}, "mappings": list(mappings)}
    if none:
        defaults["noValue"] = none
    return Panel("stat", title, unit, description, moves, [Query(expression, legend, instant=True)], {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "orientation": "auto", "justifyMode": "auto",
        "textMode": "name" if text else "value", "colorMode": "value", "graphMode": "none", "wideLayout": True,
        "showPercentChange": False, "percentChangeColorMode": "standard",
    }, {}, defaults, width=width, height=4)


def heatmap(title, unit, description, expression, moves=RATE, legend="{{le}}", buckets=True, width=8, height=8):
    """Where values lie, over time: rows are buckets of a histogram, or with buckets=False the legends of the series."""
    return Panel("heatmap", title, unit, description, moves,
                 [Query(expression, legend, format="heatmap" if buckets else "time_series")], {
        "calculate": False, "cellGap": 1, "showValue": "never",
        "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64, "reverse": False, "exponent": 0.5, "fill": "dark-orange",
                  "scale": "exponential"},
        "exemplars": {"color": "rgba(255,0,255,0.7)"}, "filterValues": {"le": 1e-9}, "legend": {"show": True},
        "rowsFrame": {"layout": "auto"}, "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit}, "cellValues": {"unit": "short"},
    }, {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}, width=width, height=height)


def timeline(title, description, expression, legend, moves=STEADY, on="on", off="off", colors=("green", "transparent"), width=12, height=8):
    """Rows that are on or off over time: series whose value is 1 or 0."""
    return Panel("state-timeline", title, "none", description, moves, [Query(expression, legend)], {
        "alignValue": "left", "mergeValues": True, "rowHeight": 0.9, "showValue": "never",
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }, {"fillOpacity": 70, "lineWidth": 0}, {
        "color": {"mode": "fixed", "fixedColor": "gray"},
        "mappings": [mapped({"1": (on, colors[0]), "0": (off, colors[1])})],
    }, width=width, height=height)


def table(title, unit, description, *queries, columns, moves=STEADY, sort=None, width=12, height=8):
    """Figures of now, a row for each set of labels. `columns` is an ordered {field: Column or name}: fields are labels and `Value #A`,
    `Value #B`, ... of the queries, `Value` if there is one; other fields are not shown. None shows every label, and the figure as its length."""
    queries = [one if isinstance(one, Query) else Query(one) for one in queries]
    for one in queries:
        one.format, one.instant = "table", True
    shown = {field: one if isinstance(one, Column) else Column(one) for field, one in (columns or {"Value": Column("Length", "s")}).items()}
    names = {field: one.name for field, one in shown.items()}
    order = {field: place for place, field in enumerate(shown)} if columns else {}
    hidden = {} if columns else {"Time": True, "__name__": True}
    transformations = [{"id": "merge", "options": {}}] if len(queries) > 1 else []
    if columns:
        transformations.append({"id": "filterFieldsByName", "options": {"include": {"names": list(shown)}}})
    transformations.append({"id": "organize", "options": {"excludeByName": hidden, "includeByName": {}, "indexByName": order,
                                                          "renameByName": names}})
    return Panel("table", title, unit, description, moves, queries, {
        "showHeader": True, "cellHeight": "sm", "frameIndex": 0,
        "sortBy": [{"displayName": names[sort], "desc": sort.startswith("Value")}] if sort else [],
    }, {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True},
        overrides=[override for one in shown.values() for override in one.overrides()], transformations=transformations,
        width=width, height=height)


@dataclasses.dataclass
class Column:
    name: str
    unit: str = ""
    link: dict = None
    mappings: tuple = ()

    def overrides(self):
        properties = []
        if self.unit:
            properties.append({"id": "unit", "value": self.unit})
        if self.link:
            properties.append({"id": "links", "value": [self.link]})
        if self.mappings:
            properties.append({"id": "mappings", "value": list(self.mappings)})
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        return [{"matcher": {"id": "byName", "options": self.name}, "properties": properties}] if properties else []


def mapped(texts):
    """What stands for values: {value: (text, color)}."""
    return {"type": "value", "options": {value: {"text": text, "color": color, "index": index}
                                         for index, (value, (text, color)) in enumerate(texts.items())}}


UP_OR_DOWN = mapped({"1": ("up", "green"), "0": ("unreachable", "red")})


def link_to(uid, title, vm):
    """A data link to another dashboard with the VM that was clicked on. `vm` tells where its labels are: "fields" of a row of a table, or
    "labels" of a series."""
    place = {"fields": "__data.fields", "labels": "__field.labels"}[vm]
    chosen = "".join(f"&var-{name}=${{{place}.{name}}}" for name in ("job", "instance", "vm"))
    return {"title": title, "targetBlank": False, "url": f"/d/{uid}?var-datasource=${{datasource}}{chosen}&${{__url_time_range}}"}


# ---- What applies to a whole dashboard

@dataclasses.dataclass
class Variable:
    """A choice at the dashboard's head: the values of a label of a metric."""
    name: str
    label: str
    query: str = ""
    several: bool = True
    description: str = ""
    values: str = ""

    def matcher(self):
        """What selects series by this choice. One value is not made a regular expression: names of VMs may have a + in them."""
        return f'{self.name}{"=~" if self.several else "="}"${self.name}"'

    def json(self, expand):
        common = {"name": self.name, "label": self.label, "hide": 0, "skipUrlSync": False, "description": self.description}
        if self.name == "datasource":
            return {**common, "type": "datasource", "query": "prometheus", "regex": "", "refresh": 1, "multi": False, "includeAll": False,
                    "options": [], "current": {}}
        if self.values:
            options = [{"text": one, "value": one, "selected": number == 0} for number, one in enumerate(self.values.split(","))]
            return {**common, "type": "custom", "query": self.values, "multi": False, "includeAll": False, "options": options,
                    "current": options[0]}
        query = expand(self.query)
        every = {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"], "selected": True}} if self.several else {"current": {}}
        return {**common, "type": "query", "datasource": SOURCE, "definition": query,
                "query": {"query": query, "refId": f"Variable-{self.name}"}, "refresh": 2, "regex": "", "sort": 7,
                "multi": self.several, "includeAll": self.several, "options": [], **every}


def the_datasource():
    return Variable("datasource", "Data source", description="A Prometheus that scrapes qemond.")


def the_hosts(several=True):
    return [Variable("job", "Job", "label_values(qemond_build_info, job)", description="Prometheus' name for the scrape of qemond."),
            Variable("instance", "Host", 'label_values(qemond_build_info{job=~"$job"}, instance)', several,
                     "Address of the qemond that watches the VMs.")]


def the_vms(several=True):
    return [*the_hosts(several), Variable("vm", "VM", "label_values(qemu_up{<host>}, vm)", several, "Name of the VM in qemond.")]


@dataclasses.dataclass
class Annotation:
    """Moments to mark: where the expression is above 0. Neighbouring ones become one region."""
    name: str
    color: str
    expression: str
    text: str
    tags: str = "vm"
    moves: str = STEADY
    enabled: bool = True

    def json(self, expand):
        return {
            "name": self.name, "enable": self.enabled, "hide": False, "iconColor": self.color, "datasource": SOURCE,
            "target": {"refId": "Anno", "expr": expand(self.expression), "interval": "", "legendFormat": ""},
            "titleFormat": self.name, "textFormat": self.text, "tagKeys": self.tags, "useValueForTime": False,
        }


# A series begins when its event is switched on for the first time; changes() does not see that.
TRACE_SWITCHES = [
    Annotation("Event switched on", "blue", """
        (changes(qemu_trace_event_enabled{<vm>}<rate>) > 0 and qemu_trace_event_enabled{<vm>} == 1)
        or (qemu_trace_event_enabled{<vm>} == 1 unless qemu_trace_event_enabled{<vm>} offset $__rate_interval)""",
               "{{vm}}: {{event}} on", "vm,event"),
    Annotation("Event switched off", "orange", """
        changes(qemu_trace_event_enabled{<vm>}<rate>) > 0 and qemu_trace_event_enabled{<vm>} == 0""", "{{vm}}: {{event}} off", "vm,event"),
    Annotation("Budget trip", "red", """
        (changes(qemond_budget_trips_total{<vm>}<rate>) > 0)
        or (qemond_budget_trips_total{<vm>} unless qemond_budget_trips_total{<vm>} offset $__rate_interval)""",
               "{{vm}}: {{event}} cost more than the budget and was switched off", "vm,event"),
]


@dataclasses.dataclass
class Row:
    title: str
    panels: list


@dataclasses.dataclass
class Dashboard:
    uid: str
    title: str
    description: str
    variables: list
    rows: list
    annotations: list = dataclasses.field(default_factory=list)
    span: str = "now-1h"
    refresh: str = "10s"

    def expand(self, expression):
        """An expression as Grafana gets it."""
        selected = {one.name: one.matcher() for one in self.variables}
        host = f"{selected['job']},{selected['instance']}"
        for short, long in (("<vm>", f"{host},{selected['vm']}"), ("<host>", host), ("<rate>", "[$__rate_interval]")):
            expression = expression.replace(short, long)
        return " ".join(expression.split())

    def json(self):
        return {
            "uid": self.uid, "title": self.title, "description": " ".join(self.description.split()), "tags": ["qemon"],
            "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": True, "graphTooltip": 1, "fiscalYearStartMonth": 0, "id": None,
            "timezone": "browser", "time": {"from": self.span, "to": "now"}, "refresh": self.refresh,
            "timepicker": {"refresh_intervals": ["5s", "10s", "30s", "1m", "5m", "15m"]},
            "links": [{
                "type": "dashboards", "title": "qemon", "tags": ["qemon"], "asDropdown": True, "includeVars": True, "keepTime": True,
                "targetBlank": False, "icon": "external link", "tooltip": "The other dashboards of qemon, with the same selection", "url": "",
            }],
            "annotations": {"list": [one.json(self.expand) for one in self.annotations]},
            "templating": {"list": [one.json(self.expand) for one in self.variables]},
            "panels": self.placed(),
        }

    def placed(self):
        """Panels from left to right, a new line where the next one does not fit, and each row of panels under its title. An identity is
        100 times the row's number plus the place in it, so that a new row at the end or a panel at a row's end leaves the others' as they
        are."""
        placed, y = [], 0
        for row_number, row in enumerate(self.rows, 1):
            placed.append({"id": row_number * 100, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                           "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}})
            y += 1
            x = line_height = 0
            for place, panel in enumerate(row.panels, 1):
                if x + panel.width > COLUMNS:
                    x, y, line_height = 0, y + line_height, 0
                placed.append(panel.json(row_number * 100 + place, x, y, self.expand))
                x, line_height = x + panel.width, max(line_height, panel.height)
            y += line_height
        return placed

    def text(self):
        return json.dumps(self.json(), indent=1, ensure_ascii=False) + "\n"

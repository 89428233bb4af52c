// What a dashboard's JSON must be, made of the types of Grafana's own schema package. Enums of strings are their values in JSON, and what the
// package leaves open (a panel's options, its fields' configuration) is closed here by the kind of the panel.
import type { AnnotationQuery, Dashboard, DataQuery, FieldConfig, Panel, RowPanel, VariableModel } from "@grafana/schema";
import type * as Heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as Stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as StateTimeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as Table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as TimeSeries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

export type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends Array<infer Item>
      ? Array<Json<Item>>
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

// Of the Prometheus data source, which the package does not describe.
interface PrometheusQuery extends DataQuery {
  expr: string;
  legendFormat: string;
  format?: "time_series" | "table" | "heatmap";
  instant?: boolean;
  range?: boolean;
  interval?: string;
  editorMode?: "code";
}

interface DataLink {
  title: string;
  url: string;
  targetBlank?: boolean;
}

type Defaults<Custom> = Json<Omit<FieldConfig, "custom" | "links"> & { custom: Custom }> & { links?: DataLink[] };

interface PanelOf<Type extends string, Options, Custom> extends Json<Omit<Panel, "type" | "options" | "fieldConfig" | "targets">> {
  id: number;
  type: Type;
  title: string;
  description: string;
  options: Json<Options>;
  fieldConfig: { defaults: Defaults<Custom>; overrides: NonNullable<Panel["fieldConfig"]>["overrides"] };
  targets: Array<Json<PrometheusQuery>>;
}

export interface Panels {
  timeseries: PanelOf<"timeseries", TimeSeries.Options, TimeSeries.FieldConfig>;
  heatmap: PanelOf<"heatmap", Heatmap.Options, Heatmap.FieldConfig>;
  stat: PanelOf<"stat", Stat.Options, Record<string, never>>;
  "state-timeline": PanelOf<"state-timeline", StateTimeline.Options, StateTimeline.FieldConfig>;
  table: PanelOf<"table", Table.Options, Table.FieldConfig>;
  row: Json<RowPanel>;
}

type Variable = Json<Omit<VariableModel, "current">> & {
  current: Json<NonNullable<VariableModel["current"]>> | Record<string, never>;
  definition?: string;  // Of query variables: what the editor shows.
};

// What Grafana's Prometheus data source makes events of.
type Annotation = Json<AnnotationQuery<PrometheusQuery>> & {
  titleFormat: string;
  textFormat: string;
  tagKeys: string;
  useValueForTime: boolean;
};

export interface DashboardFile extends Omit<Json<Dashboard>, "panels" | "templating" | "annotations"> {
  uid: string;
  title: string;
  panels: Array<Panels[keyof Panels]>;
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
}

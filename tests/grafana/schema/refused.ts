// Mistakes that the types must refuse. An `@ts-expect-error` without an error below it is an error itself, so types that refuse nothing are found.
import type { DashboardFile, Panels } from "./types";

export const color: Panels["timeseries"]["fieldConfig"]["defaults"] = {
  // @ts-expect-error: no such color mode.
  color: { mode: "palette-classy" },
  custom: {},
};

export const custom: Panels["timeseries"]["fieldConfig"]["defaults"] = {
  // @ts-expect-error: an option of fields that graphs do not have.
  custom: { drawstyle: "line" },
};

export const timeseries: Panels["timeseries"]["options"] = {
  // @ts-expect-error: no such place for a legend.
  legend: { showLegend: true, displayMode: "table", placement: "top", calcs: [] },
  tooltip: { mode: "multi", sort: "desc" },
};

export const table: Panels["table"]["options"] = {
  frameIndex: 0,
  showHeader: true,
  // @ts-expect-error: an option that tables do not have.
  colorMode: "value",
};

// @ts-expect-error: options that stats must have are missing.
export const stat: Panels["stat"]["options"] = { colorMode: "value" };

export const query: Panels["heatmap"]["targets"][number] = {
  refId: "A",
  expr: "up",
  legendFormat: "",
  // @ts-expect-error: no such format.
  format: "histogram",
};

export const variable: DashboardFile["templating"]["list"][number] = {
  name: "vm",
  current: {},
  // @ts-expect-error: no such kind of variable.
  type: "label",
};

// @ts-expect-error: a dashboard has a schemaVersion.
export const dashboard: Pick<DashboardFile, "schemaVersion"> = {};

/*
 * Parse and bind KQL with Microsoft's own language service.
 *
 * For each line {"tables": {name: "(column: type, ...)"}, "functions": {name: body}, "queries": {name: text}} of stdin,
 * writes {"errors": {name: [text, ...]}, "columns": {name: [[column, type], ...]}} for queries as a line to stdout.
 * Functions are known to the queries, and to one another, as those of a workspace are.
 */
"use strict";

const { createInterface } = require("node:readline");

const folder = "@kusto/language-service-next";
require(`${folder}/bridge.min.js`);
require(`${folder}/Kusto.Language.Bridge.min.js`);

const { GlobalState, KustoCode, Symbols } = Kusto.Language;

function list(collection) {
  return Array.from({ length: collection.Count }, (_, at) => collection.getItem(at));
}

function database(tables, functions) {
  const members = [
    ...Object.entries(tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name)),
    ...Object.entries(functions).map(([name, body]) => new Symbols.FunctionSymbol.$ctor16(name, "()", `{${body}}`, null)),
  ];
  const made = new Symbols.DatabaseSymbol.ctor("workspace", members);
  const cluster = new Symbols.ClusterSymbol.ctor("cluster", [made]);
  return GlobalState.Default.WithCluster(cluster).WithDatabase(made);
}

function checked(text, globals) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const errors = list(code.GetDiagnostics())
    .filter((found) => found.Severity === "Error")
    .map((found) => `${found.Message} At: ${text.slice(found.Start, found.Start + found.Length)}`);
  const columns = code.ResultType && code.ResultType.Columns ? list(code.ResultType.Columns) : [];
  return { errors, columns: columns.map((column) => [column.Name, column.Type.Name]) };
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const { tables, functions, queries } = JSON.parse(line);
  const globals = database(tables, functions);
  const answer = { errors: {}, columns: {} };
  for (const [name, text] of Object.entries(queries)) {
    const { errors, columns } = checked(text, globals);
    answer.errors[name] = errors;
    answer.columns[name] = columns;
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});

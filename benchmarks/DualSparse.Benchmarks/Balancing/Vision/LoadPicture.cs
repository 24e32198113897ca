using System.Text;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>Loads as heat maps: experts by layer, then ranks by layer, in the checkpoint's order and packed; beside each the share of pictures' rows.</summary>
internal static class LoadPicture
{
    private const int Left = 60, Top = 40, Cell = 24, CellHeight = 18, Gap = 40, Title = 34;

    // Twice the mean is as dark as it gets: few are above.
    private const double MostLoad = 2;

    /// <summary>Draws them.</summary>
    public static string Draw(LoadTables loads)
    {
        List<(string Title, double[][] Values, double Most)[]> rows =
        [
            [("experts: load over the mean", loads.Experts, MostLoad), ("experts: share of pictures' rows", loads.ExpertVision, 1)],
        ];
        foreach (int ranks in loads.Ranks)
        {
            foreach (bool packed in new[] { false, true })
            {
                RankLoads[] layers = [.. Enumerable.Range(0, loads.Layers).Select(layer => loads.Of(layer, ranks, packed))];
                string how = $"{ranks} ranks, {(packed ? "packed by counts" : "checkpoint order")}";
                rows.Add([($"{how}: load over the mean", [.. layers.Select(layer => layer.Loads)], MostLoad), ($"{how}: share of pictures' rows", [.. layers.Select(layer => layer.Vision)], 1)]);
            }
        }

        // All maps are as wide as the widest: ranks' cells are wider.
        int across = Cell * Math.Max(rows[0][0].Values[0].Length, loads.Ranks.Max() * 2), block = loads.Layers * CellHeight + Title + Gap / 2;
        int width = Left + 2 * (across + Gap), height = Top + rows.Count * block;
        var svg = new StringBuilder();
        svg.Append(FormattableString.Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"10\">\n"));
        svg.Append(FormattableString.Invariant($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"));
        SvgPanel.Text(svg, Left, 22, "start", FormattableString.Invariant($"{loads.Passes} passes of {loads.Rows:0} rows, {loads.VisionShare:0%} of them pictures'"), " font-size=\"14\" font-weight=\"bold\"");
        for (int row = 0; row < rows.Count; row++)
        {
            for (int column = 0; column < rows[row].Length; column++)
                Map(svg, Left + column * (across + Gap), Top + row * block, across, rows[row][column]);
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static void Map(StringBuilder svg, int left, int top, int across, (string Title, double[][] Values, double Most) map)
    {
        SvgPanel.Text(svg, left, top + 14, "start", map.Title, " font-size=\"12\" font-weight=\"bold\"");
        for (int layer = 0; layer < map.Values.Length; layer++)
        {
            double[] values = map.Values[layer];
            double cell = (double)across / values.Length, y = top + 20 + layer * CellHeight;
            SvgPanel.Text(svg, left - 4, y + CellHeight - 5, "end", $"layer {layer}");
            for (int i = 0; i < values.Length; i++)
            {
                double share = Math.Clamp(values[i] / map.Most, 0, 1);
                SvgPanel.Box(svg, left + i * cell, y, cell - 1, CellHeight - 1, Colour(share));
                SvgPanel.Text(svg, left + (i + 0.5) * cell, y + CellHeight - 5, "middle", FormattableString.Invariant($"{values[i]:0.0}").TrimStart('0'), share > 0.55 ? " fill=\"white\"" : "");
            }
        }
    }

    // From white to a dark blue.
    private static string Colour(double share)
    {
        return FormattableString.Invariant($"#{Of(250, 18):X2}{Of(250, 53):X2}{Of(250, 91):X2}");

        int Of(int white, int dark) => (int)Math.Round(white + (dark - white) * share);
    }
}

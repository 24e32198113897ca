namespace DualSparse.Models;

/// <summary>
/// Reads RoPE from either style of config.json: <c>rope_theta</c> beside <c>rope_scaling</c>, or everything in <c>rope_parameters</c>.
/// </summary>
internal static class RopeFields
{
    /// <summary>The largest base: from here on frequencies would no longer be told apart in f32; releases go up to 10⁷ or so.</summary>
    public const double MaxTheta = 1e12;

    /// <summary>Reads the fields and the scaling.</summary>
    /// <param name="fields">config.json.</param>
    /// <param name="size">How many elements of a head are turned.</param>
    /// <param name="maxPositions">The context, which stands in for a trained one that isn't given.</param>
    /// <param name="defaultTheta">The family's base where none is given.</param>
    /// <param name="interleaved">Whether pairs are neighbours.</param>
    /// <param name="withGrid">Whether the pairs turn by time, rows and columns, which needs <c>mrope_section</c>.</param>
    public static RopeConfig Read(ConfigFields fields, int size, int maxPositions, double defaultTheta, bool interleaved = false, bool withGrid = false)
    {
        if (size % 2 != 0)
            throw fields.Error($"RoPE would turn {size} elements of a head, expected an even number");
        if (fields.Has("rope_parameters") && fields.Has("rope_scaling"))
            throw fields.Error("both 'rope_parameters' and 'rope_scaling' are there, expected one of them");
        double? outer = fields.Has("rope_theta") ? fields.Number("rope_theta", 1, MaxTheta) : null;
        fields.Ignore("rope_theta");
        var inner = fields.Object("rope_parameters") ?? fields.Object("rope_scaling");
        fields.Ignore("rope_scaling");
        int trained = fields.Int("original_max_position_embeddings", 1, int.MaxValue, maxPositions);
        if (withGrid && inner?.Has("mrope_section") != true)
            throw fields.Error("'mrope_section' is missing, expected it inside 'rope_parameters' or 'rope_scaling': which pairs turn by time, rows and columns");
        if (inner is null)
            return new RopeConfig { Theta = outer ?? defaultTheta, Size = size, Interleaved = interleaved };

        double theta = inner.Number("rope_theta", 1, MaxTheta, outer ?? defaultTheta);
        if (outer is { } other && other != theta)
            throw fields.Error($"'rope_theta' is {other}, but {theta} inside 'rope_parameters'");
        inner.RequireNeutral("partial_rotary_factor", 1);
        string kind = inner.Text("rope_type") ?? inner.Text("type") ?? "default";
        if (inner.Text("type") is { } older && older != kind)
            throw inner.Error($"'rope_type' is '{kind}', but 'type' is '{older}'");
        if (!inner.Has("rope_type") && !inner.Has("type") && inner.Has("factor"))
            throw inner.Error("there is a 'factor' but no 'rope_type', expected default, linear, yarn or llama3");
        RopeScaling? scaling = kind switch
        {
            "default" => null,
            "linear" => new RopeScaling.Linear(Factor(inner), inner.Int("original_max_position_embeddings", 1, int.MaxValue, trained)),
            "yarn" => ReadYarn(inner, trained, maxPositions),
            "llama3" => ReadLlama3(inner, trained),
            _ => throw inner.Error($"RoPE of type '{kind}' is not implemented (expected default, linear, yarn or llama3)"),
        };
        int[]? sections = withGrid ? Sections(inner, size / 2) : null;
        inner.RejectUnknown();
        return new RopeConfig { Theta = theta, Size = size, Interleaved = interleaved, Scaling = scaling, GridSections = sections };
    }

    private static int[] Sections(ConfigFields fields, int pairs)
    {
        // Without it the sections follow one another, as in Qwen2-VL; no release of a family here has that.
        fields.RequireNeutral("mrope_interleaved", true);
        int[] sections = fields.IntList("mrope_section", 0, pairs)!;
        if (sections.Length != 3 || sections.Sum() != pairs)
            throw fields.Error($"'mrope_section' is {fields.Show("mrope_section")}, expected three numbers that make the {pairs} pairs of a head together");
        return sections;
    }

    private static double Factor(ConfigFields fields, double? otherwise = null) => fields.Number("factor", 0, 1e6, otherwise);

    private static RopeScaling.Yarn ReadYarn(ConfigFields fields, int trained, int maxPositions)
    {
        trained = fields.Int("original_max_position_embeddings", 1, int.MaxValue, trained);
        return new RopeScaling.Yarn
        {
            OriginalPositions = trained,
            Factor = Factor(fields, (double)maxPositions / trained),
            BetaFast = fields.Number("beta_fast", 0, 1e6, 32),
            BetaSlow = fields.Number("beta_slow", 0, 1e6, 1),
            Truncate = fields.Flag("truncate", true),
            MscaleWeight = fields.OptionalNumber("mscale", 0, 100),
            MscaleAllDim = fields.OptionalNumber("mscale_all_dim", 0, 100),
            GivenAttentionFactor = fields.OptionalNumber("attention_factor", 0, 100),
        };
    }

    private static RopeScaling.Llama3 ReadLlama3(ConfigFields fields, int trained)
    {
        var scaling = new RopeScaling.Llama3
        {
            Factor = Factor(fields),
            LowFrequencyFactor = fields.Number("low_freq_factor", 0, 1e6),
            HighFrequencyFactor = fields.Number("high_freq_factor", 0, 1e6),
            OriginalPositions = fields.Int("original_max_position_embeddings", 1, int.MaxValue, trained),
        };
        if (scaling.HighFrequencyFactor <= scaling.LowFrequencyFactor)
            throw fields.Error($"'high_freq_factor' is {scaling.HighFrequencyFactor}, expected more than 'low_freq_factor', {scaling.LowFrequencyFactor}");
        return scaling;
    }
}

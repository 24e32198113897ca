namespace DualSparse.Kernels.Packing;

/// <summary>
/// The one layout of packed weights, shared by every kernel of a format. A matrix [outputs, inputs] is cut into panels of
/// <see cref="Columns"/> outputs. A panel is a sequence of steps of <see cref="StepBytes"/> bytes; a step holds, for each of the
/// 32 outputs in turn, four bytes of consecutive inputs: one f32, two bf16, four int8 or eight int4. So one step is two 64-byte
/// vectors, sixteen steps are two AMX tiles, and a prefix of the inputs is a prefix of the panel.
/// <list type="bullet">
/// <item>Int8: 32 f32 scales, then the steps; a byte is the weight + 128.</item>
/// <item>Int4: for each group of 32 inputs, 32 bf16 scales, then four steps; byte j of an output holds input j (low nibble) and
/// input j + 4 (high nibble) of the step's eight, each as the weight + 8.</item>
/// </list>
/// </summary>
internal static class PanelLayout
{
    /// <summary>Outputs in a panel.</summary>
    public const int Columns = 32;

    /// <summary>Bytes in a step: 32 outputs of four bytes.</summary>
    public const int StepBytes = 128;

    /// <summary>Inputs are padded to this multiple: one AMX tile of int8 is 64 inputs deep.</summary>
    public const int InputAlignment = 64;

    /// <summary>Rows that a kernel may read, and write into its result, past the last: AMX tiles hold 16 rows.</summary>
    public const int RowAlignment = 16;

    /// <summary>Inputs that share one scale in <see cref="WeightFormat.Int4"/>.</summary>
    public const int GroupInputs = 32;

    /// <summary>Bytes of one group of <see cref="WeightFormat.Int4"/>: 32 bf16 scales and four steps.</summary>
    public const int GroupBytes = 64 + 4 * StepBytes;

    /// <summary>Bytes before the first step of an <see cref="WeightFormat.Int8"/> panel: 32 f32 scales.</summary>
    public const int Int8HeaderBytes = 128;

    /// <summary>Rounds a number of inputs up to <see cref="InputAlignment"/>.</summary>
    public static int PadInputs(int inputs) => (inputs + InputAlignment - 1) / InputAlignment * InputAlignment;

    /// <summary>Rounds a number of rows up to <see cref="RowAlignment"/>.</summary>
    public static int PadRows(int rows) => (rows + RowAlignment - 1) / RowAlignment * RowAlignment;

    /// <summary>Panels needed for <paramref name="outputs"/> outputs.</summary>
    public static int PanelCount(int outputs) => (outputs + Columns - 1) / Columns;

    /// <summary>Bytes of one panel over <paramref name="inputs"/> inputs, a multiple of <see cref="InputAlignment"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such format.</exception>
    public static nint PanelBytes(WeightFormat format, int inputs) => WeightFormats.Of(format).PanelBytes(inputs);
}

namespace DualSparse.Training;

/// <summary>Neighbouring elements of one tensor, or of the gap after it.</summary>
/// <param name="Tensor">Which of <see cref="ParameterSet.All"/>.</param>
/// <param name="First">The first element's place in the set.</param>
/// <param name="Count">Elements, a multiple of 16.</param>
internal readonly record struct ParameterChunk(int Tensor, long First, int Count);
